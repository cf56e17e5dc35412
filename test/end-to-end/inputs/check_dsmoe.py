"""DSMoE's layer (arXiv 2502.12455) in double precision, from the dense layer's weights.

check_dsmoe.py make               writes dense.safetensors, gated.safetensors (its hidden units as rows of blocks, and a router) and x.safetensors
check_dsmoe.py THRESHOLD RESULT   compares a result with the blocks whose sigmoid is above the threshold, divided by their share
"""
import math
import random
import sys

import tensors

WIDTH, HIDDEN, BLOCKS, TOKENS = 16, 32, 4, 40


def make():
    draw = random.Random(1).gauss
    shapes = {"ffw.gate.weight": (WIDTH, HIDDEN), "ffw.up.weight": (WIDTH, HIDDEN), "ffw.down.weight": (HIDDEN, WIDTH)}
    dense = {name: tensors.floats(shape, [draw(0, 0.4) for _ in range(WIDTH * HIDDEN)]) for name, shape in shapes.items()}
    gate, up, down = (list(dense[name][2]) for name in shapes)
    pool = [value for unit in range(HIDDEN) for row in (gate[unit::HIDDEN], up[unit::HIDDEN], down[unit * WIDTH:][:WIDTH]) for value in row]
    router = [draw(0, 0.3) for _ in range(BLOCKS * WIDTH)]
    tensors.save("dense.safetensors", dense)
    tensors.save("gated.safetensors", {"ffw.experts": tensors.floats([HIDDEN, 3, WIDTH], pool),
                                       "ffw.router": tensors.floats([1, 1, BLOCKS, WIDTH], router)})
    tensors.save("x.safetensors", {"x": tensors.floats([TOKENS, WIDTH], [draw(0, 1) for _ in range(TOKENS * WIDTH)])})


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def check(threshold, result):
    dense, x = tensors.load("dense.safetensors"), tensors.load("x.safetensors")["x"][2]
    gate, up, down = (dense[f"ffw.{name}.weight"][2] for name in ("gate", "up", "down"))
    router, found = tensors.load("gated.safetensors")["ffw.router"][2], tensors.load(result)["y"][2]
    worst, counts = 0, set()
    for t in range(TOKENS):
        token = x[t * WIDTH:(t + 1) * WIDTH]

        def dot(row):
            return sum(a * b for a, b in zip(token, row, strict=True))

        on = [sigmoid(dot(router[block * WIDTH:][:WIDTH])) > float(threshold) for block in range(BLOCKS)]
        counts.add(sum(on))
        hidden = []
        for unit in range(HIDDEN):
            g = dot(gate[unit::HIDDEN])
            hidden.append(g * sigmoid(g) * dot(up[unit::HIDDEN]) * on[unit * BLOCKS // HIDDEN])
        for d in range(WIDTH):
            y = sum(hidden[unit] * down[unit * WIDTH + d] for unit in range(HIDDEN)) * BLOCKS / max(sum(on), 1)
            worst = max(worst, abs(y - found[t * WIDTH + d]))
    print(f"as defined: {worst < 2e-5}, blocks on: {sorted(counts)}")


if sys.argv[1] == "make":
    make()
else:
    check(*sys.argv[1:])
