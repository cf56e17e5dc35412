"""Calls peer_layer_small.peer and compares with the definition and with what must hold whatever the numbers are.

Usage: check_peer_layer.py FOLDER, which holds m.peer (peer_layer_small.mlir).
"""
import math
import os
import random
import subprocess
import sys

import tensors
from peer_layer import Layer, dot, gelu

FOLDER = sys.argv[1]
WIDTH, TOP, TOLERANCE = 64, 8, 2e-5


def path(name):
    return os.path.join(FOLDER, name)


def call(entry, weights, inputs):
    tensors.save(path("w.safetensors"), weights)
    tensors.save(path("in.safetensors"), inputs)
    subprocess.run(["peer-run", "call", path("m.peer"), entry, "--weights", path("w.safetensors"), "--in", path("in.safetensors"),
                    "--out", path("out.safetensors")], check=True)
    return {name: list(values) for name, (_, _, values) in tensors.load(path("out.safetensors")).items()}


def matrix(rows):
    return tensors.floats([len(rows), WIDTH], [value for row in rows for value in row])


def layer(weights, rows):
    return call("layer", weights, {"x": matrix(rows)})["y"]


def distance(found, expected):
    """The largest difference against the largest value: what rounding in f32 is small beside."""
    assert len(found) == len(expected), (len(found), len(expected))
    scale = max((abs(e) for e in expected), default=0.0)
    return max((abs(f - e) for f, e in zip(found, expected)), default=0.0) / (scale or 1.0)


def agree(what, found, expected, tolerance=TOLERANCE):
    error = distance(found, expected)
    print(f"{what}: {'equal' if error <= tolerance else f'WRONG by {error:.3g}'}")


def changed(weights, name, change):
    """Weights with one tensor's values replaced by change(index, value)."""
    dtype, shape, values = weights[name]
    return {**weights, name: tensors.floats(shape, [change(i, value) for i, value in enumerate(values)])}


def check_definition(weights, rows):
    oracle = Layer(weights, TOP)
    agree("layer by definition", layer(weights, rows), [value for x in rows for value in oracle.forward(x)])
    dys = [[random.gauss(0, 1) for _ in range(WIDTH)] for _ in rows]
    result = call("layer_grad", weights, {"x": matrix(rows), "dy": matrix(dys)})
    sums = {"query.weight": {}, "keys": {}, "experts": {}}
    dx = [value for x, dy in zip(rows, dys) for value in oracle.backward(x, dy, sums)]
    agree("dx by definition", result["dx"], dx)
    for name, sparse in sums.items():
        dense = [0.0] * len(weights[name][2])
        for at, value in sparse.items():
            dense[at] = value
        agree(f"grad.{name} by definition", result["grad." + name], dense)
    assert sorted(result) == ["dx", "grad.experts", "grad.keys", "grad.query.weight"]


def check_properties(weights, rows):
    y = layer(weights, rows)
    in_v = lambda i: i // WIDTH % 2 == 1
    agree("twice v gives twice y", layer(changed(weights, "experts", lambda i, v: 2 * v if in_v(i) else v), rows), [2 * a for a in y], 0)
    zero = layer(changed(weights, "experts", lambda i, v: 0.0 if in_v(i) else v), rows)
    agree("v of zero gives zero", zero, [0.0] * len(y), 0)
    # The same vector added to all keys of one half adds a constant to all scores of a token and head.
    shift = [random.gauss(0, 0.02) for _ in range(16)]
    agree("a constant on one head's scores changes nothing",
          layer(changed(weights, "keys", lambda i, v: v + shift[i % 16] if i // (64 * 16) == 0 else v), rows), y, 1e-4)
    # Every head with the first one's queries and keys: each picks the same experts, and y is what 4 equal heads add up to.
    columns, keys = 32, 2 * 64 * 16
    query, key = weights["query.weight"][2], weights["keys"][2]
    same = changed(weights, "query.weight", lambda i, v: query[i - i % 128 + i % columns])
    same = changed(same, "keys", lambda i, v: key[i % keys])
    agree("experts that all heads pick count four times", layer(same, rows),
          [value for x in rows for value in Layer(same, TOP).forward(x)])
    # Keys of zero tie all scores: the 8 lowest ids win with gates of 1/8, and y is a plain layer of those 8 neurons.
    flat = Layer(weights, TOP)
    ties = [math.fsum(4 / TOP * gelu(dot(flat.u(e), x)) * flat.v(e)[c] for e in range(TOP)) for x in rows for c in range(WIDTH)]
    agree("tied scores go to the lowest ids", layer(changed(weights, "keys", lambda i, v: 0.0), rows), ties)
    # The gates of a head sum to 1: with v of one everywhere and an activation of one value, y is heads times that value.
    equal = changed(weights, "experts", lambda i, v: 1.0 if in_v(i) else (1.0 if i % WIDTH == 0 else 0.0))
    agree("gates of a head sum to one", layer(equal, rows), [4 * gelu(x[0]) for x in rows for _ in range(WIDTH)])
    # Constant scores carry no gradient: the sum of ds per head is 0, so moving all keys of a half together changes nothing.
    dys = matrix([[1.0] * WIDTH for _ in rows])
    grad = call("layer_grad", weights, {"x": matrix(rows), "dy": dys})["grad.keys"]
    drift = max(abs(math.fsum(grad[h + j * 16 + c] for j in range(64))) for h in range(0, len(grad), 64 * 16) for c in range(16))
    print(f"ds of a head sums to zero: {'equal' if drift <= 1e-5 * max(map(abs, grad)) else f'WRONG by {drift}'}")


def check_sizes(weights):
    """T of 0, of 1, and one that is no multiple of any tile, of which each token must be what it is alone."""
    empty = matrix([])
    assert layer(weights, []) == []
    result = call("layer_grad", weights, {"x": empty, "dy": empty})
    print("no tokens:", "no gradient" if not any(any(values) for values in result.values()) else "WRONG")
    rows = [[random.gauss(0, 1) for _ in range(WIDTH)] for _ in range(131)]
    y = layer(weights, rows)
    for t in (0, 77, 130):
        agree(f"token {t} alone", layer(weights, [rows[t]]), y[t * WIDTH:(t + 1) * WIDTH], 1e-6)


def main():
    random.seed(3)
    subprocess.run(["peer-run", "init", path("m.peer"), "--seed", "5", "--out", path("init.safetensors")], check=True, stdout=subprocess.DEVNULL)
    weights = tensors.load(path("init.safetensors"))
    rows = [[random.gauss(0, 1) for _ in range(WIDTH)] for _ in range(3)]
    check_definition(weights, rows)
    check_properties(weights, rows)
    check_sizes(weights)


main()
