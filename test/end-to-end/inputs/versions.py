"""Trains with each version of an artifact's code, chosen by name, and with artifacts of that version alone: the weights are the same to the bit.

usage: versions.py ALL CPU...   (ALL.peer has the versions of all CPU.peer, the least demanding first)
"""
import os
import subprocess
import sys

import tensors


def train(model, out, cpu=""):
    """The weights after two steps; None where this machine cannot run the code."""
    done = subprocess.run(["peer-run", "train", model, "--data", "text", "--batch", "2", "--steps", "2", "--eval-every", "2", "--eval-tokens", "64", "--seed", "1",
                           "--out", out], env={**os.environ, "PEER_CPU": cpu}, capture_output=True, text=True)
    if done.returncode != 0:
        if "this machine lacks" in done.stderr or "this machine can run none" in done.stderr:
            return None
        sys.exit(f"versions.py: error: {done.stderr}")
    return tensors.load(f"{out}/weights.safetensors")


def main():
    model, *cpus = sys.argv[1:]
    found = {}
    for cpu in cpus:
        found[cpu] = train(f"{cpu}.peer", f"{cpu}.alone")
        if train(model, f"{cpu}.chosen", cpu) != found[cpu]:
            sys.exit(f"versions.py: error: {model} with PEER_CPU={cpu} is not {cpu}.peer")
    run = [cpu for cpu in cpus if found[cpu] is not None]
    if any(found[one] == found[other] for one, other in zip(run, run[1:])):
        sys.exit("versions.py: error: two versions cannot be told apart")
    print(f"{len(run)} versions as alone; without a choice as the last of them: {train(model, 'free') == found[run[-1]]}")


main()
