"""Training whose checkpoints cannot be written: what was good stays. Usage: cannot_save.py full|gone MODEL FOLDER

full: the disk is full. Root gets a small file system of its own; others a limit on the size of a file, which fails alike.
gone: the output directory is moved away while the run goes on.
"""
import os
import resource
import signal
import subprocess
import sys

import tensors
import training


def contents(folder):
    """Names to bytes, but for the log, which grows with every step."""
    found = {}
    for name in os.listdir(folder):
        if name not in ("log.jsonl", "report.html"):
            with open(os.path.join(folder, name), "rb") as file:
                found[name] = file.read()
    return found


def report(process, out, error):
    lines = error.splitlines()
    print("exit code", process.returncode)
    print("errors:", *[line.replace(out, "OUT") for line in lines if line.startswith("peer-run: error: ")], sep="\n")
    print("last line is the error:", lines[-1].startswith("peer-run: error: "))


def full(model, folder):
    out = os.path.join(folder, "full")
    os.makedirs(out)
    one = os.path.join(folder, "one")
    training.train(model, one, 5)
    size = os.path.getsize(os.path.join(one, "checkpoint-5.safetensors"))
    # Room for the parameters and two checkpoints, not for the third that is written before the first may go.
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={int(2.9 * size)}", "none", out], stderr=subprocess.DEVNULL).returncode == 0
    try:
        steps, options = 20, ["--save-every", "5", "--eval-every", "1000"]
        def limit():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (size // 2, size // 2))
        if not mounted:
            training.train(model, out, 10, *options)
            options.append("--resume")
        process = subprocess.Popen(training.command(model, out, steps, *options), text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   preexec_fn=None if mounted else limit)
        _, error = process.communicate()
        report(process, out, error)
        good = training.checkpoints(out)
        print("checkpoints:", *good)
        for name in good:
            tensors.load(os.path.join(out, name))
        print("left over:", *sorted(set(os.listdir(out)) - set(good) - {"data.json", "log.jsonl", "weights.safetensors", "report.html"}))
        # With room again the run goes on from there, and to the same end.
        if mounted:
            subprocess.run(["mount", "-o", f"remount,size={20 * size}", out], check=True)
        training.train(model, out, steps, *options, *([] if "--resume" in options else ["--resume"]))
        training.train(model, os.path.join(folder, "whole"), steps, "--save-every", "5", "--eval-every", "1000")
        print("weights", "equal" if training.same_weights(out, os.path.join(folder, "whole")) else "DIFFER")
    finally:
        if mounted:
            subprocess.run(["umount", out], check=True)


def gone(model, folder):
    out, away = os.path.join(folder, "run"), os.path.join(folder, "away")
    training.train(model, out, 6, "--save-every", "3")
    before = contents(out)
    process = subprocess.Popen(training.command(model, out, 100000, "--resume"), text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    training.wait_for_step(process, out, 9)
    os.rename(out, away)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate()
    report(process, out, error)
    print("files", "unchanged" if contents(away) == before else "CHANGED")
    print("directory", "BACK" if os.path.exists(out) else "not made again")


{"full": full, "gone": gone}[sys.argv[1]](*sys.argv[2:])
