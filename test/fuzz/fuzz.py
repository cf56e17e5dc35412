#!/usr/bin/env python3
"""Runs the fuzz targets, `./dev fuzz`: makes seeds of what is in the tree, then lets libFuzzer change them.

Anything but success or a sentence is a finding: its input is written to BUILD/fuzz/findings, a line says how to see it again,
and the exit code is 1. What was learned stays in BUILD/fuzz/corpus for the next run.
"""
import argparse
import os
import pathlib
import random
import shutil
import subprocess
import sys

import seeds

HERE = pathlib.Path(__file__).resolve().parent
# Of 20 parts of the time: descriptions have the most code behind them.
SHARES = {"descriptions": 7, "descriptions-gpu": 4, "safetensors": 2, "artifacts": 2, "ptx": 3, "resume": 2}
# Nothing here should take longer, or more memory, even under sanitizers.
LIMITS = {"timeout": 60, "rss_limit_mb": 6000, "malloc_limit_mb": 3000}
# libFuzzer tries all seeds before it looks at the clock: a short run has some of them.
SEEDS_PER_SECOND = {"descriptions": 2, "descriptions-gpu": 1, "ptx": 100, "safetensors": 100, "artifacts": 100, "resume": 5}
# What a byte at a time would take long to find.
DICTIONARIES = {"safetensors": HERE / "json.dict", "artifacts": HERE / "json.dict", "resume": HERE / "json.dict"}


def environment(folder):
    result = dict(os.environ, PEER_FUZZ_RUN=str(folder / "seeds" / "resume-run"), OMP_NUM_THREADS="1")
    # As for the tests: LLVM's libraries are not instrumented.
    result["ASAN_OPTIONS"] = "detect_container_overflow=0:allow_user_poisoning=0:detect_leaks=0:allocator_may_return_null=1"
    return result


def run(name, build, seconds, seed):
    folder = build / "fuzz"
    findings, corpus, here = folder / "findings" / name, folder / "corpus" / name, folder / "seeds" / name
    for path in (findings, corpus):
        path.mkdir(parents=True, exist_ok=True)
    target = folder / f"peer-fuzz-{name}"
    old = set(os.listdir(findings))
    options = [f"-{key}={value}" for key, value in LIMITS.items()]
    options += [f"-max_total_time={seconds}", "-close_fd_mask=3", f"-artifact_prefix={findings}/", "-print_final_stats=1", "-max_len=20000"]
    if name in DICTIONARIES:
        options.append(f"-dict={DICTIONARIES[name]}")
    if seed is not None:
        options.append(f"-seed={seed}")
    chosen = sorted(here.iterdir())
    if len(chosen) > (most := SEEDS_PER_SECOND[name] * seconds):
        here = folder / "seeds" / f"{name}-chosen"
        shutil.rmtree(here, ignore_errors=True)
        here.mkdir()
        for path in random.sample(chosen, most):
            shutil.copy(path, here)
    # What was found once is a seed for good.
    folders = [str(path) for path in (corpus, here, HERE / "seeds" / name) if path.is_dir()]
    log = folder / f"{name}.log"
    with open(log, "w") as output:
        code = subprocess.run([target, *options, *folders], stdout=output, stderr=output, env=environment(folder)).returncode
    lines = log.read_text(errors="replace").splitlines()
    runs = next((line.split()[-1] for line in lines if line.startswith("stat::number_of_executed_units")), "?")
    covered = next((line.split("cov: ")[1].split()[0] for line in reversed(lines) if "cov: " in line), "?")
    print(f"{name}: {runs} inputs in {seconds} s, {covered} places reached", flush=True)
    new = sorted(set(os.listdir(findings)) - old)
    if code == 0 and not new:
        return True
    for line in [line for line in lines if "ERROR: " in line or line.startswith(("finding: ", "SUMMARY: "))][:4] or lines[-5:]:
        print("  " + line)
    for path in new:
        print(f"  see it again: PEER_FUZZ_SHOW=1 {target} {findings / path}")
    print(f"  all of it: {log}")
    return False


def run_found(name, build):
    """What was found once, a process for each, so that one does not hide another."""
    folder, good = build / "fuzz", True
    for path in sorted((HERE / "seeds" / name).iterdir()) if (HERE / "seeds" / name).is_dir() else []:
        run = subprocess.run([folder / f"peer-fuzz-{name}", f"-timeout={LIMITS['timeout']}", "-close_fd_mask=3", path], stderr=subprocess.PIPE,
                             text=True, errors="replace", env=environment(folder))
        if run.returncode != 0:
            good = False
            print(f"finding again: {name} {path.name}\n{run.stderr[-2000:]}")
    return good


def main():
    parser = argparse.ArgumentParser(prog="dev fuzz", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=HERE.parent.parent / "build-fuzz", help="the build of the targets")
    parser.add_argument("--seconds", type=int, default=600, help="for all targets together (default: 600)")
    parser.add_argument("--target", choices=SHARES, help="this one only")
    parser.add_argument("--seeds-only", action="store_true", help="only what was found once")
    parser.add_argument("--seed", type=int, help="of libFuzzer's choices (default: another one each time)")
    arguments = parser.parse_args()
    build = arguments.build.resolve()
    names = [arguments.target] if arguments.target else list(SHARES)
    if arguments.seeds_only:
        if "resume" in names:
            seeds.make("resume", build, build / "fuzz" / "seeds", environment(build / "fuzz"))
        good = [run_found(name, build) for name in names]
        print("all seeds are good" if all(good) else "some seeds are findings again")
        return 0 if all(good) else 1
    parts = sum(SHARES[name] for name in names)
    for name in names:
        seeds.make(name, build, build / "fuzz" / "seeds", environment(build / "fuzz"))
    good = [run(name, build, max(arguments.seconds * SHARES[name] // parts, 1), arguments.seed) for name in names]
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
