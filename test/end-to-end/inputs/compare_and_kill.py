"""A comparison that is stopped or killed and resumed has the runs of one that was not. Usage: compare_and_kill.py MODEL MODEL FOLDER STEPS,
where `text` is."""
import glob
import json
import os
import signal
import subprocess
import sys
import time

import training


def command(models, out, steps, *more):
    return ["peer-run", "compare", *models, "--data", "text", "--steps", str(steps), "--seeds", "2", "--batch", "2", "--threads", "1",
            "--eval-tokens", "256", "--seed", "3", "--out", out, *more]


def results(out):
    return sorted(glob.glob(os.path.join(out, "runs", "*", "result.json")))


def logged(out):
    return sum(len(training.logged_steps(run)) for run in glob.glob(os.path.join(out, "runs", "*")))


def stop(models, out, steps, signal_, reached, *more):
    process = subprocess.Popen(command(models, out, steps, *more), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not reached() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(signal_)
    return process, process.communicate(timeout=120)[1]


def losses(out):
    with open(os.path.join(out, "compare.json")) as file:
        comparison = json.load(file)
    return [(result["model"], run["seed"], run["loss"], [point["loss"] for point in run["curve"]])
            for budget in comparison["budgets"] for result in budget["results"] for run in result["runs"]]


def main():
    models, folder, steps = sys.argv[1:3], sys.argv[3], int(sys.argv[4])
    whole, parts = os.path.join(folder, "whole"), os.path.join(folder, "parts")
    subprocess.run(command(models, whole, steps), check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # lit's workers ignore it, and what is ignored stays ignored

    # Ctrl-C in the first runs, kill -9 after them.
    process, error = stop(models, parts, steps, signal.SIGINT, lambda: logged(parts) > 20)
    print("exit code", process.returncode)
    print("how to go on:", "Go on with:" in error and error.rstrip().endswith("--resume"))
    print("saved:", bool(glob.glob(os.path.join(parts, "runs", "*", "checkpoint-*"))))
    stop(models, parts, steps, signal.SIGKILL, lambda: len(results(parts)) >= 2, "--resume")
    kept = {path: os.stat(path).st_mtime_ns for path in results(parts)}
    print("runs are finished:", len(kept) >= 2)
    subprocess.run(command(models, parts, steps, "--resume"), check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    print("finished runs are kept:", all(os.stat(path).st_mtime_ns == when for path, when in kept.items()))
    print("no checkpoint is left:", not glob.glob(os.path.join(parts, "runs", "*", "checkpoint-*")))
    names = [os.path.basename(path) for path in glob.glob(os.path.join(whole, "runs", "*"))]
    same = all(training.same_weights(*(os.path.join(out, "runs", name) for out in (whole, parts))) for name in names)
    print(len(names), "runs, weights", "equal" if same else "DIFFER")
    print("losses", "equal" if losses(whole) == losses(parts) else "DIFFER")


main()
