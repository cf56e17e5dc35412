"""Ctrl-C in the midst of training, then --resume: nothing is lost. Usage: interrupt.py MODEL FOLDER STEPS"""
import os
import signal
import subprocess
import sys

import tensors
import training


def main():
    model, folder, steps = sys.argv[1], sys.argv[2], int(sys.argv[3])
    whole, parts = os.path.join(folder, "whole"), os.path.join(folder, "parts")
    training.train(model, whole, steps)
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # lit's workers ignore it, and what is ignored stays ignored
    process = subprocess.Popen(training.command(model, parts, steps), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    training.wait_for_step(process, parts, 12)
    process.send_signal(signal.SIGINT)
    out, error = process.communicate(timeout=60)
    last = training.logged_steps(parts)[-1]
    print("exit code", process.returncode)
    print((out + error).replace(f"checkpoint-{last}.", "checkpoint-LAST.").replace(f"step {last} ", "step LAST "), end="")
    print("checkpoints:", *[name.replace(str(last), "LAST") for name in training.checkpoints(parts)])
    tensors.load(os.path.join(parts, f"checkpoint-{last}.safetensors"))
    training.train(model, parts, steps, "--resume")
    print("weights", "equal" if training.same_weights(whole, parts) else "DIFFER")


main()
