"""Calls each entry of computed_indices.mlir with indices in and out of range; what is out of range must be refused in one sentence
without an output file, what is in range must give the rows that it names.
Usage: computed_indices.py MODEL.mlir TARGET DEVICE
Prints, for each entry, how many inputs were right and refused, and the last refusal.
"""
import array
import math
import os
import struct
import subprocess
import sys

import tensors

VALUES = [0, 1, 3, 7, 8, 10**9, -1, -2, -2**31, 2**31 - 1, 2**30, -2**30]


def wrap(value, bits=32):
    return (value + 2**(bits - 1)) % 2**bits - 2**(bits - 1)


def main():
    model, target, device = sys.argv[1:]
    subprocess.run(["peer-opt", model, f"--target={target}", "-o", "m.peer"], check=True)
    subprocess.run(["peer-run", "init", "m.peer", "--seed", "1", "--out", "w"], check=True, stdout=subprocess.DEVNULL)
    weights = tensors.load("w")
    e, p = weights["e"][2], weights["p"][2]

    def row(index):
        return list(e[4 * index:4 * index + 4]) if 0 <= index < 8 else None

    def loss(index):
        if not 0 <= index < 4:
            return None
        logits = row(0)
        return [math.log(sum(math.exp(x) for x in logits)) - logits[index]]

    def expert(index):
        if not -1 <= index < 4:
            return None
        return [0.0] * 4 if index < 0 else list(p[4 * index:4 * index + 4])

    twice = lambda t: wrap(2 * t)
    cases = [("twice", VALUES, lambda t: row(twice(t))),
             ("batch", VALUES, row),
             ("wide", VALUES + [2**32 + 5, 2**63 - 1, -2**63], lambda t: row(wrap(t))),
             ("float", [0.0, 0.5, 7.9, 8.0, -0.9, -1.0, 1e30, -1e30, math.inf, -math.inf],
              lambda t: row(math.trunc(t)) if math.isfinite(t) else None),
             ("experts", VALUES, lambda t: expert(twice(t))),
             ("targets", VALUES, lambda t: loss(twice(t))),
             ("proven", VALUES, lambda t: row(2 * t) if 0 <= t < 4 else None)]
    for entry, values, oracle in cases:
        right, refused = 0, []
        for value in values:
            given = [0, 1, 1, value]
            expected = [oracle(t) for t in given]
            code = {"wide": "q", "float": "f"}.get(entry, "i")
            shape = [2, 2] if entry == "batch" else [4]
            inputs = {"t": ({"q": "I64", "f": "F32", "i": "I32"}[code], shape, array.array(code, given))}
            if entry in ("experts", "targets"):
                inputs["zero"] = tensors.integers([4], [0] * 4)
            tensors.save("in", inputs)
            if os.path.exists("out"):
                os.remove("out")
            run = subprocess.run(["peer-run", "call", "m.peer", entry, "--weights", "w", "--in", "in", "--out", "out", "--device", device],
                                 stderr=subprocess.PIPE, text=True)
            if all(expected):
                y = tensors.load("out")["y"][2] if run.returncode == 0 else []
                wanted = [x for each in expected for x in each]
                ok = len(y) == len(wanted) and all(abs(a - b) <= 1e-6 * (1 + abs(b)) for a, b in zip(y, wanted))
                right += ok
            else:
                ok = run.returncode == 1 and len(run.stderr.splitlines()) == 1 and not os.path.exists("out")
                refused.append(run.stderr.strip())
            if not ok:
                print(f"PROBLEM: {entry}({value}): exit code {run.returncode}: {run.stderr.strip()}")
        print(f"{entry}: {right} right, {len(refused)} refused")
        print(refused[-1].removeprefix("peer-run: error: "))


main()
