"""Trains a model whole, and again in parts: kill -9 at random moments, --resume after each, until the end.

Both must end with the same weights, bit for bit, and with a log of every step once. What a kill leaves behind must be
whole checkpoints. Usage: kill_and_resume.py MODEL FOLDER STEPS KILLS
"""
import os
import random
import subprocess
import sys
import time

import tensors
import training


def main():
    model, folder, steps, kills = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    whole, parts = os.path.join(folder, "whole"), os.path.join(folder, "parts")
    options = ["--save-every", "7", "--eval-every", "20", "--schedule", "cosine", "--warmup", "5"]
    begin = time.monotonic()
    training.train(model, whole, steps, *options)
    seconds = time.monotonic() - begin

    # Other moments in every run; the seed is printed for one that fails.
    seed = random.randrange(1 << 32)
    moments = random.Random(seed)
    print("moments drawn with seed", seed)
    done = 0
    for _ in range(kills):
        resume = ["--resume"] if done else []
        process = subprocess.Popen(training.command(model, parts, steps, *options, *resume),
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        # Not before there is something new to resume from; later, in the midst of a step, a save or an evaluation.
        while training.newest(parts) <= done:
            assert process.poll() is None, "the run ended before it was killed"
            time.sleep(0.002)
        time.sleep(moments.random() * seconds / (kills + 1))
        process.kill()
        process.wait()
        for name in training.checkpoints(parts):
            tensors.load(os.path.join(parts, name))
        done = training.newest(parts)
        print(f"killed after step {training.logged_steps(parts)[-1]}, checkpoint at {done}")
    training.train(model, parts, steps, *options, "--resume")
    print("weights", "equal" if training.same_weights(whole, parts) else "DIFFER")
    every = list(range(1, steps + 1))
    print("log", "complete" if training.logged_steps(parts) == every == training.logged_steps(whole) else "BROKEN")
    print("left over:", " ".join(sorted(set(os.listdir(parts)) ^ set(os.listdir(whole)))) or "nothing")


main()
