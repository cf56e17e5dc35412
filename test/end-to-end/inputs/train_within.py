"""Trains for a few steps and compares the peak of resident memory with parameters + optimizer state + 1 GB.

Usage: train_within.py MODEL FOLDER STEPS BATCH
"""
import json
import os
import resource
import subprocess
import sys

from artifact import kept_by_training

CORPUS = "/usr/share/common-licenses"


def main():
    model, folder, steps, batch = sys.argv[1:]
    parameters, states = kept_by_training(model)
    out = os.path.join(folder, "run")
    # Little validation: it is the training step that is measured.
    subprocess.run(["peer-run", "train", model, "--data", CORPUS, "--steps", steps, "--batch", batch, "--eval-tokens", "512",
                    "--out", out], check=True, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    with open(os.path.join(out, "log.jsonl")) as file:
        losses = [entry["loss"] for entry in map(json.loads, file) if "loss" in entry]
    print(f"parameters {parameters / 1e9:.2f} GB, optimizer state {states / 1e9:.2f} GB, peak {peak / 1e9:.2f} GB")
    print("losses", *(f"{loss:.2f}" for loss in losses))
    print("within parameters + optimizer state + 1 GB:", peak <= parameters + states + 1_000_000_000)
    print("within 16 GB:", peak <= 16_000_000_000)
    print("trained:", len(losses) == int(steps) and all(3 < loss < 7 for loss in losses))


main()
