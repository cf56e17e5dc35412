"""What the tests of interrupted training share: starting peer-run, reading its run directory, comparing bitwise."""
import filecmp
import json
import os
import subprocess
import time

CORPUS = "/usr/share/common-licenses"


def command(model, out, steps, *more):
    return ["peer-run", "train", model, "--data", CORPUS, "--steps", str(steps), "--out", out, "--seed", "11", "--threads", "1", *more]


def train(model, out, steps, *more):
    subprocess.run(command(model, out, steps, *more), check=True, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


def logged_steps(out):
    """Steps of the log, in order; a line that a kill cut off counts for nothing."""
    steps = []
    try:
        with open(os.path.join(out, "log.jsonl")) as file:
            for line in file:
                try:
                    entry = json.loads(line)
                except ValueError:
                    break
                if "loss" in entry:
                    steps.append(entry["step"])
    except FileNotFoundError:
        pass
    return steps


def wait_for_step(process, out, step):
    """Returns once the run has logged the step."""
    deadline = time.monotonic() + 120
    while not logged_steps(out) or logged_steps(out)[-1] < step:
        assert process.poll() is None, f"the run ended before step {step}"
        assert time.monotonic() < deadline, f"no step {step} within two minutes"
        time.sleep(0.002)


def step_of(name):
    return int(name.split("-")[1].split(".")[0])


def checkpoints(out):
    """Names of the finished checkpoints, by step; none of a directory that is not there yet."""
    names = os.listdir(out) if os.path.isdir(out) else []
    return sorted((name for name in names if name.startswith("checkpoint-") and name.endswith(".safetensors")), key=step_of)


def newest(out):
    """Step of the last checkpoint, or 0."""
    return max(map(step_of, checkpoints(out)), default=0)


def same_weights(a, b):
    return filecmp.cmp(os.path.join(a, "weights.safetensors"), os.path.join(b, "weights.safetensors"), shallow=False)
