"""Compares the losses of two training runs, step by step, or of two files that eval wrote: compare_losses.py A B TOLERANCE (relative)."""
import json
import os
import sys


def losses(run):
    """(kind, step) -> loss."""
    found = {}
    with open(os.path.join(run, "log.jsonl") if os.path.isdir(run) else run) as file:
        for entry in map(json.loads, file):
            for kind in ("loss", "eval_loss"):
                if kind in entry:
                    found[kind, entry.get("step")] = entry[kind]
    return found


def main():
    first, second, tolerance = losses(sys.argv[1]), losses(sys.argv[2]), float(sys.argv[3])
    assert first.keys() == second.keys(), "the runs have different steps"
    worst = max(first, key=lambda key: abs(first[key] - second[key]) / abs(first[key]))
    difference = abs(first[worst] - second[worst]) / abs(first[worst])
    steps = sum(kind == "loss" for kind, _ in first)
    print(f"{steps} steps, {len(first) - steps} evaluations: losses agree to {tolerance}: {difference <= tolerance}")
    print(f"largest difference: {difference:.2e}, {worst[0]} of step {worst[1]}")


main()
