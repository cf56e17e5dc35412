"""`./dev bench equal-time`: models of one trunk get the same seconds on the same text.

PEER, dense, dense with twice the width, PKM and a coarse mixture of experts train by turns in one process (`peer-run compare`), each with a cosine to the end of
its own seconds. The table goes to OUT/equal-time.md, the loss against seconds to OUT/equal-time.svg; OUT/compared has all numbers of all runs. What was
stopped goes on when it is called again.
"""
import argparse
import json
import math
import pathlib
import re
import subprocess
import sys

import chart
import corpus

ROOT = pathlib.Path(__file__).resolve().parents[2]
DENSE = ("dense", "dense_wide")
# Steps in which rates rise to their peaks.
WARMUP = 100


def widened(text):
    """tiny_dense_lm with twice the width and as wide heads; weights begin smaller by the root of two."""
    sizes = {"128": "256", "512": "1024"}
    text = re.sub(r"tensor<([^>]*)>", lambda found: f"tensor<{'x'.join(sizes.get(size, size) for size in found[1].split('x'))}>", text)
    text = text.replace("heads 4 ", "heads 8 ")
    return re.sub(r"normal\(([0-9.]+)\)", lambda found: f"normal({float(found[1]) / math.sqrt(2):.4g})", text)


def as_memory(text):
    """tiny_peer_lm with a product-key memory of as many rows: values in the place of experts, and nothing between a token and them but the weights."""
    return text.replace("65536x2x128", "65536x1x128").replace("%w, %p gelu :", "%w, %p :")


def descriptions(folder):
    """By name, the files of the models; those that no example is are written to `folder`."""
    examples = ROOT / "examples"
    peer, dense = ((examples / f"tiny_{name}_lm.mlir").read_text(encoding="utf-8") for name in ("peer", "dense"))
    texts = {"peer": peer, "dense": dense, "dense_wide": widened(dense), "pkm": as_memory(peer),
             "switch_moe": (examples / "switch_moe_lm.mlir").read_text(encoding="utf-8")}
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for name, text in texts.items():
        file = folder / f"{name}.mlir"
        if not file.exists() or file.read_text(encoding="utf-8") != text:
            file.write_text(text, encoding="utf-8")
        files.append(file)
    return files


def rows(compared):
    """One line for each model, of the mean over seeds; perplexities are per byte."""
    results = compared["budgets"][0]["results"]
    losses = {each["model"]: each["loss"]["mean"] for each in results if any("loss" in run for run in each["runs"])}
    best = min((losses[name] for name in DENSE if name in losses), default=None)
    yield ("model", "params M", "active M", "steps", "tokens/s", "loss", "spread", "perplexity", "to the best dense", "experts used", "unevenness")
    for model, each in zip(compared["models"], results):
        runs = [run for run in each["runs"] if "loss" in run]
        if not runs:
            yield (model["name"], *[""] * 4, "diverged" if each["runs"] else "not finished", *[""] * 5)
            continue
        loss, spread, pool = each["loss"]["mean"], each["loss"]["deviation"], (each["layers"] or [None])[0]
        yield (model["name"], f"{model['parameters'] / 1e6:.3g}", f"{(model['active_parameters'] or 0) / 1e6:.3g}",
               f"{sum(run['steps'] for run in runs) / len(runs):.0f}", f"{each['tokens_per_s']['mean']:.0f}", f"{loss:.4f}",
               "" if spread is None else f"{spread:.4f}", f"{math.exp(loss):.4f}", "" if best is None else f"{100 * math.expm1(loss - best):+.1f} %",
               f"{100 * pool['usage']:.1f} %" if pool else "", f"{pool['unevenness']:.2f}" if pool else "")


def verdict(compared):
    losses = {each["model"]: each["loss"]["mean"] for each in compared["budgets"][0]["results"] if any("loss" in run for run in each["runs"])}
    if "peer" not in losses or not set(DENSE) <= set(losses):
        return "PEER or a dense model has no run that ended: nothing to say of them."
    best = min(DENSE, key=losses.get)
    share = 100 * math.expm1(losses["peer"] - losses[best])
    return f"PEER's perplexity is {abs(share):.1f} % {'below' if share < 0 else 'above'} that of the best dense model, {best} (goal: 10 % below)."


def mean_curve(runs):
    """Points (seconds, loss), of the mean over seeds."""
    curves = [run["curve"] for run in runs if run["curve"]]
    return [(sum(each["seconds"] for each in points) / len(points), sum(each["loss"] for each in points) / len(points)) for points in zip(*curves)]


def picture(compared, seconds):
    series = [(each["model"], mean_curve(each["runs"])) for each in compared["budgets"][0]["results"]]
    series = [(name, line) for name, line in series if line]
    # The first losses are those of models that know nothing: they would flatten all that follows.
    least = min(min(y for _, y in line) for _, line in series)
    series = [(name, [(x, y) for x, y in line if y < least + 0.8] or line[-1:]) for name, line in series]
    return chart.svg([chart.panel(f"Validation loss, {seconds:g} seconds for each model", "seconds of training", "nats per byte", series)], 1)


def consecutive(text):
    """Seeds as `1,2,3`."""
    try:
        seeds = [int(seed) for seed in text.split(",")]
    except ValueError:
        seeds = []
    if not seeds or seeds != list(range(seeds[0], seeds[0] + len(seeds))) or seeds[0] < 0:
        raise argparse.ArgumentTypeError(f"'{text}': expected seeds that follow one another, such as 1,2,3")
    return seeds


def main(arguments):
    parser = argparse.ArgumentParser(prog="./dev bench equal-time", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600, metavar="S", help="seconds of training for each model and seed [600]")
    parser.add_argument("--seeds", type=consecutive, default=[1, 2, 3], metavar="LIST", help="seeds that follow one another [1,2,3]")
    corpus.add_arguments(parser, ROOT)
    parser.add_argument("--out", type=pathlib.Path, metavar="DIR", default=ROOT / "build/equal-time", help="where it goes [build/equal-time]")
    parser.add_argument("--threads", type=int, metavar="N", help="threads to compute with [one per core]")
    options = parser.parse_args(arguments)
    try:
        train, held = corpus.split(options.data, options.out / "text")
    except corpus.NoText as error:
        parser.error(str(error))
    compared = options.out / "compared"
    command = [ROOT / "build/bin/peer-run", "compare", *descriptions(options.out / "models"), "--data", train, "--eval-data", held, "--eval-tokens", str(options.eval_tokens), "--seconds", f"{options.seconds:g}", "--warmup", str(WARMUP),
               "--seeds", str(len(options.seeds)), "--seed", str(options.seeds[0]), "--out", compared, *(["--threads", str(options.threads)] if options.threads else [])]
    if (compared / "settings.json").exists():
        print(f"going on with {compared}; remove {options.out} to begin anew", flush=True)
        command.append("--resume")
    # Its own tables are in OUT/compared; how far it is and what it refuses it says on the error output.
    if status := subprocess.run(command, stdout=subprocess.DEVNULL).returncode:
        return status
    found = json.loads((compared / "compare.json").read_text(encoding="utf-8"))
    table = chart.markdown(rows(found)) + "\n" + verdict(found) + "\n"
    (options.out / "equal-time.md").write_text(table, encoding="utf-8")
    (options.out / "equal-time.svg").write_text(picture(found, options.seconds), encoding="utf-8")
    print(f"{table}\n{options.out / 'equal-time.md'}, {options.out / 'equal-time.svg'}, {compared / 'compare.html'}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
