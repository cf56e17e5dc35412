"""Counts the instructions of calls, those in the compiled code alone, and compares them with figures of a file.

usage: instructions.py SOURCE BUILD FIGURES

A line of the file is a model below SOURCE, an entry, T, whether its keys are in memory of the caller's (`bound`: nothing is kept of them between calls) or `kept` packed, and the instructions of one call. What OpenBLAS, libm and OpenMP execute is not counted: it depends on
the machine, where code for x86-64-v3 does not. More than 5 % above a figure fails; more than 5 % below it asks for a new one.
"""
import collections
import pathlib
import subprocess
import sys

CLANG = "/usr/lib/llvm-22/bin/clang"
TOLERANCE = 0.05


def by_function(profile):
    """Instructions of a callgrind profile's compiled code by function: cost lines that follow `calls=` are those of the callee."""
    names, costs, compiled, function, skip = {}, collections.Counter(), False, "", False

    def name(text):
        key, _, value = text.partition(" ")
        return names.setdefault((kind, key), value) if value else names[kind, key]

    for line in profile.read_text(encoding="utf-8").splitlines():
        if line.startswith(("ob=", "cob=")):
            kind = "object"
            found = name(line.partition("=")[2])
            compiled = (found.endswith(".peer") or "peer-artifact" in found) if line.startswith("ob=") else compiled
        elif line.startswith(("fn=", "cfn=")):
            kind = "function"
            found = name(line.partition("=")[2])
            function = found if line.startswith("fn=") else function
        elif line.startswith("calls="):
            skip = True
        elif line[:1] in "0123456789+-*" and line:
            if compiled and not skip:
                costs[function] += int(line.split()[1])
            skip = False
    return costs


def main():
    source, build, figures = map(pathlib.Path, sys.argv[1:])
    program = pathlib.Path("instructions")
    subprocess.run([CLANG, "-O2", f"-I{source / 'runtime'}", source / "test/end-to-end/inputs/instructions.c", "-o", program, f"-L{build / 'lib'}", "-lpeer_runtime",
                    f"-Wl,-rpath,{build / 'lib'}", "-Wl,--unresolved-symbols=ignore-in-shared-libs"], check=True)
    failed = False
    for line in figures.read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            continue
        model, entry, tokens, keys, figure = line.split()
        artifact, profile = pathlib.Path(model).with_suffix(".peer").name, pathlib.Path("profile")
        if not pathlib.Path(artifact).exists():
            subprocess.run([build / "bin/peer-opt", source / model, "--target=cpu:x86-64-v3", "-o", artifact], check=True)
        done = subprocess.run(["valgrind", "--tool=callgrind", f"--callgrind-out-file={profile}", "--toggle-collect=counted", f"./{program}", artifact, entry, tokens, keys],
                              capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"instructions.py: error: valgrind ended with {done.returncode}: {done.stderr[-2000:]}")
        costs = by_function(profile)
        now, before = sum(costs.values()), int(figure)
        what = f"{model} {entry} {tokens} {keys}"
        if now > (1 + TOLERANCE) * before:
            failed = True
            print(f"{what}: {now} instructions, {100 * (now / before - 1):.1f} % more than the {before} of {figures.name}; the most of them in:")
            for function, cost in costs.most_common(8):
                print(f"  {cost:12} {function}")
        elif now < (1 - TOLERANCE) * before:
            print(f"{what}: {100 * (1 - now / before):.1f} % fewer instructions than {figures.name} says: write {now} there")
        else:
            print(f"{what}: as before")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
