#!/usr/bin/env python3
"""Runs the fuzz targets, `./dev fuzz`: makes seeds of what is in the tree, then lets libFuzzer change them.

Anything but success or a sentence is a finding: its input is kept in BUILD/fuzz/findings, a line says how to see it again,
and the exit code is 1. What was learned stays in BUILD/fuzz/corpus for the next run.
"""
import argparse
import collections
import os
import pathlib
import random
import shutil
import subprocess
import sys
import time

import seeds

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
JSON = [f"-dict={HERE / 'json.dict'}"]
# The program and what it wants; of 20 parts of the time, since descriptions have the most code behind them; and, since libFuzzer
# tries all seeds before it looks at the clock, how many of them a second of a short run can have.
Target = collections.namedtuple("Target", "program options share seeds")
TARGETS = {
    "descriptions": Target("descriptions", ["--target=cpu:x86-64-v3"], 7, 2),
    "descriptions-gpu": Target("descriptions", ["--target=sm_90"], 4, 1),
    "safetensors": Target("safetensors", JSON, 2, 100),
    "artifacts": Target("artifacts", JSON, 2, 100),
    "ptx": Target("ptx", [], 3, 50),
    "resume": Target("resume", JSON, 2, 5),
}
# Nothing here should take more memory, even under sanitizers. Slow inputs are of interest from the timeout on.
LIMITS = {"rss_limit_mb": 6000, "malloc_limit_mb": 3000, "max_len": 20000, "report_slow_units": 1000000}
# An input that is text and not longer is shown.
MOST_SHOWN = 2000


class Place:
    """One target's program and folders."""

    def __init__(self, name, arguments):
        self.name, self.target = name, TARGETS[name]
        build = arguments.build or ROOT / (("build" if name.startswith("descriptions") else "build-sanitize") if arguments.quick else "build-fuzz")
        self.program = build.resolve() / "fuzz" / f"peer-fuzz-{self.target.program}"
        self.work = (arguments.work or self.program.parent).resolve()
        self.findings, self.corpus = self.work / "findings" / name, self.work / "corpus" / name
        self.seeds, self.found = self.work / "seeds" / name, HERE / "seeds" / name
        # As for the tests: LLVM's libraries are not instrumented.
        self.environment = dict(os.environ, PEER_FUZZ_RUN=str(self.work / "seeds" / "resume-run"), OMP_NUM_THREADS="1",
                                ASAN_OPTIONS="detect_container_overflow=0:allow_user_poisoning=0:detect_leaks=0:allocator_may_return_null=1")

    def make_seeds(self, tools):
        seeds.make(self.name, tools, self.program, self.work / "seeds", self.environment)

    def libfuzzer(self, options, folders):
        """libFuzzer's lines, and whether nothing was found."""
        for path in (self.findings, self.corpus):
            path.mkdir(parents=True, exist_ok=True)
        options = [*options, *(f"-{key}={value}" for key, value in LIMITS.items()), "-close_fd_mask=3", f"-artifact_prefix={self.findings}/",
                   "-print_final_stats=1", f"--words={self.seeds}", *self.target.options]
        old, log = set(os.listdir(self.findings)), self.work / f"{self.name}.log"
        with open(log, "w") as output:
            code = subprocess.run([self.program, *options, *folders], stdout=output, stderr=output, env=self.environment).returncode
        lines = log.read_text(errors="replace").splitlines()
        new = sorted(set(os.listdir(self.findings)) - old)
        if code == 0 and not new:
            return lines, True
        print(f"{self.name}: FOUND something")
        for line in [line for line in lines if "ERROR: " in line or "Assertion " in line or line.startswith(("finding: ", "SUMMARY: "))][:6] or lines[-5:]:
            print("  " + line)
        for path in new:
            self.show(self.findings / path)
        print(f"  all of it: {log}", flush=True)
        return lines, False

    def show(self, path):
        words = " ".join(option for option in self.target.options if option.startswith("--"))
        needs = f"PEER_FUZZ_RUN={self.environment['PEER_FUZZ_RUN']} " if self.name == "resume" else ""
        print(f"  kept as {path}\n  see it again: {needs}{self.program} {words + ' ' if words else ''}{path}")
        contents = path.read_bytes()
        if len(contents) <= MOST_SHOWN and all(byte >= 32 or byte in b"\t\n" for byte in contents):
            print("".join(f"  | {line}\n" for line in contents.decode(errors="replace").splitlines()), end="")

    def replay(self, which, tools):
        """Each seed once, as it is."""
        if which == "all" or self.name == "resume" and self.found.is_dir():
            self.make_seeds(tools)
        folders = [path for path in ([self.seeds] if which == "all" else []) + [self.found] if path.is_dir()]
        if not folders:
            return True
        _, good = self.libfuzzer(["-runs=0", "-timeout=300"], folders)
        if good:
            print(f"{self.name}: {sum(len(os.listdir(path)) for path in folders)} seeds are good", flush=True)
        return good

    def fuzz(self, seconds, arguments):
        self.make_seeds(arguments.tools)
        chosen, here = sorted(self.seeds.iterdir()), self.seeds
        if len(chosen) > (most := self.target.seeds * seconds):
            here = self.work / "seeds" / f"{self.name}-chosen"
            shutil.rmtree(here, ignore_errors=True)
            here.mkdir()
            for path in random.Random(arguments.seed).sample(chosen, most):
                shutil.copy(path, here)
        # What is not instrumented shows libFuzzer nothing new: it is to change all seeds then.
        options = [f"-max_total_time={seconds}", f"-timeout={arguments.timeout}", "-keep_seed=1"]
        if arguments.seed is not None:
            options.append(f"-seed={arguments.seed}")
        # What was found once is a seed for good.
        folders = [path for path in (self.corpus, here, self.found) if path.is_dir()]
        lines, good = self.libfuzzer(options, folders)
        runs = next((line.split()[-1] for line in lines if line.startswith("stat::number_of_executed_units")), None) or \
            next((line.split()[0].lstrip("#").rstrip(":") for line in reversed(lines) if line.startswith("#")), "?")
        covered = next((line.split("cov: ")[1].split()[0] for line in reversed(lines) if "cov: " in line), "none")
        print(f"{self.name}: {runs} inputs in {seconds} s, {covered} places reached", flush=True)
        return good

    def fuzz_on(self, seconds, arguments):
        end = time.monotonic() + seconds
        good = self.fuzz(seconds, arguments)
        while not good and arguments.keep_going and (left := int(end - time.monotonic())) > 0:
            self.fuzz(left, arguments)
        return good


def main():
    parser = argparse.ArgumentParser(prog="dev fuzz", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, help="for all targets together (default: 600, with --quick 60)")
    parser.add_argument("--target", choices=TARGETS, help="this one only")
    parser.add_argument("--quick", action="store_true", help="without a build of their own: the compiler's targets in build/, the others in build-sanitize/")
    parser.add_argument("--replay", choices=("found", "all"), help="change nothing: run what was found once, or all seeds, too")
    parser.add_argument("--keep-going", action="store_true", help="do not end with a finding")
    parser.add_argument("--timeout", type=int, default=60, help="seconds after which one input is a finding (default: 60)")
    parser.add_argument("--seed", type=int, help="of all choices (default: another one each time)")
    parser.add_argument("--build", type=pathlib.Path, help="the build of the targets (default: build-fuzz)")
    parser.add_argument("--tools", type=pathlib.Path, default=ROOT / "build", help="the build of the tools that make seeds (default: build)")
    parser.add_argument("--work", type=pathlib.Path, help="where seeds, corpus and findings are (default: BUILD/fuzz)")
    arguments = parser.parse_args()
    seconds = arguments.seconds or (60 if arguments.quick else 600)
    places = [Place(name, arguments) for name in ([arguments.target] if arguments.target else TARGETS)]
    if arguments.replay:
        good = [place.replay(arguments.replay, arguments.tools) for place in places]
    else:
        # A short run has time for each.
        share = (lambda target: 1) if arguments.quick else (lambda target: target.share)
        parts = sum(share(place.target) for place in places)
        good = [place.fuzz_on(max(seconds * share(place.target) // parts, 1), arguments) for place in places]
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
