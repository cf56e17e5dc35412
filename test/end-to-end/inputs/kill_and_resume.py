"""Trains a model whole, and again in parts: kill -9 at random instants, --resume after each, until the end.

Each run that is put together so must end with the same weights as the whole one, bit for bit, and with a log of every step once.
What a kill leaves behind must be whole checkpoints. Runs that come to their end are followed by others, until there were as many
kills as asked for. Usage: kill_and_resume.py MODEL FOLDER STEPS KILLS [SEED]
"""
import os
import random
import shutil
import subprocess
import sys
import time

import tensors
import training


def check(whole, parts, steps):
    assert training.same_weights(whole, parts), "weights DIFFER"
    every = list(range(1, steps + 1))
    assert training.logged_steps(parts) == every == training.logged_steps(whole), "log BROKEN"
    left = sorted(set(os.listdir(parts)) ^ set(os.listdir(whole)))
    assert not left, f"left over: {' '.join(left)}"


def main():
    model, folder, steps, kills = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    whole, parts = os.path.join(folder, "whole"), os.path.join(folder, "parts")
    options = ["--save-every", "7", "--eval-every", "20", "--schedule", "cosine", "--warmup", "5"]
    begin = time.monotonic()
    training.train(model, whole, steps, *options)
    seconds = time.monotonic() - begin

    # Other instants in every run; the seed is printed for one that fails.
    seed = int(sys.argv[5]) if len(sys.argv) > 5 else random.randrange(1 << 32)
    instants = random.Random(seed)
    print("instants drawn with seed", seed, flush=True)
    killed = began = runs = 0
    while killed < kills:
        # What was killed before it had anything to go on from begins again.
        resume = ["--resume"] if os.path.exists(os.path.join(parts, "log.jsonl")) else []
        before = training.newest(parts)
        process = subprocess.Popen(training.command(model, parts, steps, *options, *resume), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        try:
            _, error = process.communicate(timeout=instants.random() * seconds / 2)
            assert process.returncode == 0, error.decode()
            check(whole, parts, steps)
            shutil.rmtree(parts)
            runs += 1
            continue
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
        killed += 1
        for name in training.checkpoints(parts):
            tensors.load(os.path.join(parts, name))
        now = training.newest(parts)
        assert now >= before, f"checkpoint {before} was there, now the newest is {now}"
        began += now > 0
    training.train(model, parts, steps, *options, *(["--resume"] if os.path.exists(os.path.join(parts, "log.jsonl")) else []))
    check(whole, parts, steps)
    print(f"killed {killed} times, {began} of them with a checkpoint; {runs + 1} runs ended with equal weights and a complete log")


main()
