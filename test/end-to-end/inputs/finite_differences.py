"""Compares `grad.<parameter>` of a compiled model with finite differences of its loss.

Along a direction d the loss must change by (gradient . d). The direction is the gradient's own, where the change is
largest against the rounding of f32, and then the gradient with random signs, which a wrong direction would not survive.
Usage: finite_differences.py DIR, with model.peer and weights.safetensors in DIR.
"""
import array
import os
import random
import subprocess
import sys

import tensors

FOLDER = sys.argv[1]
TOKENS, VOCABULARY, TOLERANCE = 12, 20, 0.03


def path(name):
    return os.path.join(FOLDER, name)


def call(entry, weights, inputs):
    subprocess.run(["peer-run", "call", path("model.peer"), entry, "--weights", path(weights), "--in", path(inputs),
                    "--out", path("out.safetensors")], check=True, stdout=subprocess.DEVNULL)
    return tensors.load(path("out.safetensors"))


def loss_along(weights, name, direction, step):
    dtype, shape, values = weights[name]
    moved = dict(weights)
    moved[name] = (dtype, shape, array.array("f", [v + step * d for v, d in zip(values, direction)]))
    tensors.save(path("moved.safetensors"), moved)
    return call("loss", "moved.safetensors", "inputs.safetensors")["loss"][2][0]


def error_along(weights, name, direction, expected):
    """The least error over a few steps: long ones bend, and cross kinks of the selection; short ones round."""
    errors = []
    for step in (3e-2, 1e-2, 3e-3, 1e-3):
        change = loss_along(weights, name, direction, step) - loss_along(weights, name, direction, -step)
        errors.append(abs(change / (2 * step) - expected) / abs(expected))
        if errors[-1] < TOLERANCE:
            break
    return min(errors)


def main():
    random.seed(1)
    ids = {name: ("I32", [TOKENS], array.array("i", [random.randrange(VOCABULARY) for _ in range(TOKENS)]))
           for name in ("tokens", "targets")}
    tensors.save(path("inputs.safetensors"), ids)
    tensors.save(path("seeded.safetensors"), {**ids, "dloss": ("F32", [], array.array("f", [1.0]))})
    weights = tensors.load(path("weights.safetensors"))
    gradients = call("loss_grad", "weights.safetensors", "seeded.safetensors")
    agreeing = 0
    for key, (_, _, gradient) in sorted(gradients.items()):
        name = key.removeprefix("grad.")
        norm = sum(g * g for g in gradient) ** 0.5
        if norm == 0:
            print(f"{name}: the gradient is zero")
            continue
        along = [g / norm for g in gradient]
        # A fifth of the signs flipped at random: enough of the product is left to be seen over the rounding.
        mixed = [a if random.random() < 0.8 else -a for a in along]
        errors = [error_along(weights, name, d, sum(g * v for g, v in zip(gradient, d))) for d in (along, mixed)]
        if max(errors) < TOLERANCE:
            agreeing += 1
        else:
            print(f"{name}: relative errors {errors[0]:.4f} and {errors[1]:.4f}")
    print(f"{agreeing} gradients agree with finite differences")


main()
