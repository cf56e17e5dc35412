"""`./dev bench sweep`: trains one model with every combination of the settings that are given, and orders them by what they end at.

Each setting is a run of `peer-run train` with a directory of its own in OUT, so that a sweep that was stopped goes on where it was, and one with more values
or seeds adds to what is there. OUT/sweep.md has the table, written after each run.

Example: ./dev bench sweep --first keys=0.02,0.125 --rate experts=4e-3,1e-2 --steps 300 --seeds 1,2
"""
import argparse
import itertools
import json
import pathlib
import re
import statistics
import subprocess
import sys

import chart
import corpus

ROOT = pathlib.Path(__file__).resolve().parents[2]


def named_values(text):
    """NAME=V,V as (NAME, [V, ...]); the values stay text, as they are written into descriptions and names."""
    name, _, values = text.partition("=")
    values = values.split(",")
    try:
        good = bool(name) and all(float(value) >= 0 for value in values)
    except ValueError:
        good = False
    if not good:
        raise argparse.ArgumentTypeError(f"'{text}': expected NAME=NUMBER,NUMBER,...")
    return name, values


def kinds(text):
    if set(text.split(",")) - {"constant", "linear", "cosine"}:
        raise argparse.ArgumentTypeError(f"'{text}': expected some of constant,linear,cosine")
    return text.split(",")


def whole(text):
    try:
        values = [int(value) for value in text.split(",")]
    except ValueError:
        values = [-1]
    if min(values) < 0:
        raise argparse.ArgumentTypeError(f"'{text}': expected whole numbers with commas between")
    return values


def literal(value):
    """A number as MLIR reads it: with a point."""
    return f"{float(value):.6e}"


class Unknown(Exception):
    """Says what the description lacks."""


def with_first(text, name, value):
    """Parameters whose name ends with .NAME or is NAME begin as normal(value)."""
    text, count = re.subn(rf'(peer\.param "(?:[^"]*\.)?{re.escape(name)}" )normal\([^)]*\)', rf"\g<1>normal({literal(value)})", text)
    if count == 0:
        raise Unknown(f"no parameter '{name}' that begins as normal(...)")
    return text


def with_group(text, name, attribute, value):
    """An attribute of the optimizer of a group, or of all others where it is named `default`."""
    found = re.search(rf"\b{'optimizer' if name == 'default' else re.escape(name)} = #peer\.\w+(?:<([^>]*)>)?", text)
    if not found:
        raise Unknown(f"no optimizer of a group '{name}'")
    given = [each for each in (found[1] or "").split(", ") if each and not each.startswith(f"{attribute} =")]
    head = found[0].partition("<")[0]
    return text[:found.start()] + f"{head}<{', '.join([*given, f'{attribute} = {literal(value)}'])}>" + text[found.end():]


def with_key_group(text):
    """Keys in a group of their own with the optimizer of what is in no group; as it is where they have one."""
    text, count = re.subn(r'(peer\.param "(?:[^"]*\.)?keys" normal\([^)]*\))(?! group)', r'\1 group("keys")', text)
    optimizer = re.search(r"optimizer = (#peer\.\w+(?:<[^>]*>)?)", text)
    if count == 0 or not optimizer or re.search(r"\bkeys = #peer", text):
        return text
    if "groups = {" in text:
        return text.replace("groups = {", f"groups = {{keys = {optimizer[1]}, ", 1)
    return text.replace(optimizer[0], f"{optimizer[0]}, groups = {{keys = {optimizer[1]}}}", 1)


def combinations(options):
    """All settings as lists of (kind, name, value)."""
    axes = [[(kind, name, value) for value in values] for kind in ("first", "rate", "decay") for name, values in getattr(options, kind)]
    axes += [[("schedule", "", kind) for kind in options.schedule], [("warmup", "", str(steps)) for steps in options.warmup]]
    return list(itertools.product(*axes))


def title(setting):
    """What stands in the table and, without blanks, in the name of a run."""
    return [f"{kind} {name}={value}" if name else f"{kind} {value}" for kind, name, value in setting]


def described(text, setting):
    for kind, name, value in setting:
        if kind == "first":
            text = with_first(text, name, value)
        elif kind == "decay":
            text = with_group(text, name, "weight_decay", value)
        elif kind == "rate":
            text = with_group(with_key_group(text) if name == "keys" else text, name, "learning_rate", value)
    return text


def result(run, steps):
    """The last validation of a finished run, what it says of a diverged one, or nothing."""
    if (run / "diverged").exists():
        return {"diverged": (run / "diverged").read_text(encoding="utf-8")}
    log = run / "log.jsonl"
    records = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()] if log.exists() else []
    ends = [record for record in records if "eval_loss" in record and record["step"] == steps]
    speeds = [record["tokens_per_s"] for record in records if "tokens_per_s" in record]
    return {**ends[-1], "tokens_per_s": statistics.median(speeds)} if ends else None


def train(options, texts, setting, seed):
    name = "_".join(title(setting)).replace(" ", "-")
    run, model = options.out / f"{name}_steps-{options.steps}_seed-{seed}", options.out / "models" / f"{name}.mlir"
    model.parent.mkdir(parents=True, exist_ok=True)
    model.write_text(described(options.model.read_text(encoding="utf-8"), setting), encoding="utf-8")
    known = result(run, options.steps)
    if known:
        return known
    train_text, held = texts
    plain = {kind: value for kind, name, value in setting if not name}
    command = [ROOT / "build/bin/peer-run", "train", model, "--data", train_text, "--eval-data", held, "--steps", str(options.steps), "--seed", str(seed), "--batch", str(options.batch), "--eval-tokens", str(options.eval_tokens),
               "--schedule", plain["schedule"], "--warmup", plain["warmup"], "--out", run, *(["--threads", str(options.threads)] if options.threads else [])]
    if any(run.glob("checkpoint-*.safetensors")):
        command.append("--resume")
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    said = next((line for line in done.stderr.splitlines() if "error: " in line), f"peer-run ended with {done.returncode}")
    if done.returncode != 0 and "training stopped" in said:
        (run / "diverged").write_text(said, encoding="utf-8")
    elif done.returncode != 0:
        raise RuntimeError(f"{name}, seed {seed}: {said}")
    # Checkpoints of a pool of a million experts are gigabytes, and a run that ended needs none.
    for checkpoint in [*run.glob("checkpoint-*.safetensors"), *run.glob("*weights.safetensors"), *run.glob("best.safetensors")]:
        checkpoint.unlink()
    return result(run, options.steps)


def table(found, varying):
    """Rows by mean loss; columns for what varies alone."""
    lines = []
    for setting, results in found:
        ends = [each for each in results if "eval_loss" in each]
        losses = [each["eval_loss"] for each in ends]
        pools = [each["layers"][0] for each in ends if each["layers"]]
        mean = statistics.fmean(losses) if len(losses) == len(results) else float("inf")
        lines.append((mean, [setting[i][2] for i in varying] + [
            f"{mean:.4f}" if ends and len(ends) == len(results) else f"{len(results) - len(ends)} of {len(results)} diverged",
            f"{statistics.stdev(losses):.4f}" if len(losses) > 1 else "", f"{100 * statistics.fmean(pool['usage'] for pool in pools):.1f} %" if pools else "",
            f"{statistics.fmean(pool['unevenness'] for pool in pools):.2f}" if pools else "",
            f"{statistics.fmean(each['tokens_per_s'] for each in ends):.0f}" if ends else "", str(len(results))]))
    first = found[0][0]
    head = [" ".join(filter(None, first[i][:2])) for i in varying] + ["loss", "spread", "experts used", "unevenness", "tokens/s", "runs"]
    return chart.markdown([head, *(line for _, line in sorted(lines, key=lambda each: each[0]))])


def main(arguments):
    parser = argparse.ArgumentParser(prog="./dev bench sweep", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", type=pathlib.Path, default=ROOT / "examples/tiny_peer_lm.mlir", metavar="MODEL", help="the description [examples/tiny_peer_lm.mlir]")
    parser.add_argument("--first", type=named_values, action="append", default=[], metavar="NAME=S,S,...", help="standard deviations of first values of the parameters NAME, such as keys or experts")
    parser.add_argument("--rate", type=named_values, action="append", default=[], metavar="GROUP=R,R,...",
                        help="peak rates of an optimizer group; default: of what is in none; keys: these get a group of their own")
    parser.add_argument("--decay", type=named_values, action="append", default=[], metavar="GROUP=W,W,...", help="weight decays of a group")
    parser.add_argument("--schedule", type=kinds, default=["cosine"], metavar="KIND,...", help="constant, linear, cosine [cosine]")
    parser.add_argument("--warmup", type=whole, default=[0], metavar="N,...", help="steps over which rates rise [0]")
    parser.add_argument("--steps", type=int, default=1500, metavar="N", help="steps of a run [1500]")
    parser.add_argument("--batch", type=int, default=8, metavar="B", help="sequences per step [8]")
    parser.add_argument("--seeds", type=whole, default=[1], metavar="LIST", help="seeds of each setting [1]")
    corpus.add_arguments(parser, ROOT)
    parser.add_argument("--threads", type=int, metavar="N", help="threads to compute with [one per core]")
    parser.add_argument("--out", type=pathlib.Path, metavar="DIR", default=ROOT / "build/sweep", help="where it goes [build/sweep]")
    options = parser.parse_args(arguments)
    settings = combinations(options)
    varying = [i for i in range(len(settings[0])) if len({setting[i] for setting in settings}) > 1]
    try:
        described(options.model.read_text(encoding="utf-8"), settings[0])
        texts = corpus.split(options.data, options.out / "text")
    except (corpus.NoText, OSError) as error:
        parser.error(str(error))
    except Unknown as error:
        parser.error(f"{options.model} has {error}")
    found = {}
    try:
        for seed in options.seeds:
            for setting in settings:
                got = train(options, texts, setting, seed)
                found.setdefault(setting, []).append(got)
                print(f"{', '.join(title(setting))}, seed {seed}: {got.get('eval_loss', got.get('diverged'))}", flush=True)
                (options.out / "sweep.md").write_text(table(list(found.items()), varying), encoding="utf-8")
    except RuntimeError as error:
        sys.exit(f"sweep: error: {error}")
    except KeyboardInterrupt:
        sys.exit(f"stopped; the same command goes on. So far: {options.out / 'sweep.md'}")
    print("\n" + (options.out / "sweep.md").read_text(encoding="utf-8") + f"\n{options.out / 'sweep.md'}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
