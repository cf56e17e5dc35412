"""Compares `grad.<parameter>` of a compiled model with finite differences of its loss.

Along a direction d the loss must change by (gradient . d). The direction is the gradient's own, where the change is
largest against the rounding of f32, and then the gradient with random signs, which a wrong direction would not survive.
Usage: finite_differences.py DIR, with model.peer and weights.safetensors in DIR.
"""
import array
import json
import os
import random
import struct
import subprocess
import sys

FOLDER = sys.argv[1]
TOKENS, VOCABULARY, TOLERANCE = 12, 20, 0.03


def path(name):
    return os.path.join(FOLDER, name)


def load(name):
    """Tensors of a safetensors file: name -> (dtype, shape, values)."""
    with open(path(name), "rb") as file:
        data = file.read()
    length = struct.unpack("<Q", data[:8])[0]
    tensors = {}
    for key, entry in json.loads(data[8:8 + length]).items():
        if key == "__metadata__":
            continue
        begin, end = (8 + length + offset for offset in entry["data_offsets"])
        values = array.array("i" if entry["dtype"] == "I32" else "f", data[begin:end])
        tensors[key] = (entry["dtype"], entry["shape"], values)
    return tensors


def save(name, tensors):
    header, body = {}, b""
    for key, (dtype, shape, values) in tensors.items():
        begin = len(body)
        body += values.tobytes()
        header[key] = {"dtype": dtype, "shape": shape, "data_offsets": [begin, len(body)]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path(name), "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + body)


def call(entry, weights, inputs):
    subprocess.run(["peer-run", "call", path("model.peer"), entry, "--weights", path(weights), "--in", path(inputs),
                    "--out", path("out.safetensors")], check=True, stdout=subprocess.DEVNULL)
    return load("out.safetensors")


def loss_along(weights, name, direction, step):
    dtype, shape, values = weights[name]
    moved = dict(weights)
    moved[name] = (dtype, shape, array.array("f", [v + step * d for v, d in zip(values, direction)]))
    save("moved.safetensors", moved)
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
    save("inputs.safetensors", ids)
    save("seeded.safetensors", {**ids, "dloss": ("F32", [], array.array("f", [1.0]))})
    weights = load("weights.safetensors")
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
