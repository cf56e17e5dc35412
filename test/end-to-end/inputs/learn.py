"""Trains models on the licence texts with the same seeds and steps; prints their validation losses.

Usage: learn.py FOLDER STEPS SEEDS MODEL ... ; the first model must be at least as good as each other one, by the mean over seeds.
"""
import json
import os
import re
import subprocess
import sys

CORPUS = "/usr/share/common-licenses"


def validation(model, out, steps, seed):
    """(validation loss at the end, unigram entropy, tokens per second)"""
    text = subprocess.run(["peer-run", "train", model, "--data", CORPUS, "--steps", steps, "--schedule", "cosine", "--warmup", "50",
                           "--seed", seed, "--out", out], check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True).stdout
    with open(os.path.join(out, "log.jsonl")) as file:
        loss = [entry["eval_loss"] for entry in map(json.loads, file) if "eval_loss" in entry][-1]
    return loss, float(re.search(r"unigram entropy +([0-9.]+)", text).group(1)), re.search(r"at ([0-9,]+) tokens/s", text).group(1)


def main():
    folder, steps, seeds, models = sys.argv[1], sys.argv[2], sys.argv[3].split(","), sys.argv[4:]
    means = []
    for model in models:
        name, losses = os.path.basename(model), []
        for seed in seeds:
            loss, entropy, speed = validation(model, os.path.join(folder, f"{name}.{seed}"), steps, seed)
            losses.append(loss)
            print(f"{name}, seed {seed}: {loss:.4f} ({speed} tokens/s)", flush=True)
        means.append(sum(losses) / len(losses))
        print(f"{name}: {means[-1]:.4f} on average, unigram entropy {entropy:.4f}")
    print("reaches 2.0 and is 1.2 below the unigram entropy:", means[0] <= 2.0 and means[0] <= entropy - 1.2)
    print("no worse than the others:", all(means[0] <= mean for mean in means[1:]))


main()
