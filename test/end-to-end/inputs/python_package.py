"""The package of runtime/python: compiles, calls on arrays, binds, and says what is wrong. Works in the current directory.

Usage: python_package.py LAYER.mlir LINE.mlir. The first is examples/peer_layer_small.mlir, the second the model of runtime/README.md.
"""
import array
import importlib.util
import os
import pathlib
import random
import sys

import peer


def floats(shape, values):
    return memoryview(bytearray(array.array("f", values).tobytes())).cast("f", shape)


def numbers(result):
    """The elements of a result, whether numpy is there or not."""
    return array.array("f", memoryview(result).tobytes() if memoryview(result).nbytes else b"").tolist()


def refused(what):
    try:
        what()
        print("NOT REFUSED")
    except (peer.Error, AttributeError) as error:
        print("refused:", str(error).replace(str(pathlib.Path.cwd()), ".").splitlines()[0])


def calls(layer):
    model = peer.compile(layer)
    kept = list(pathlib.Path(os.environ["PEER_CACHE_DIR"]).glob("*.peer"))
    stamp = kept[0].stat().st_ino
    model.init(seed=1).save("w.safetensors")
    rng = random.Random(1)
    x = floats([3, 64], [rng.gauss(0, 1) for _ in range(192)])
    y = model.layer(x)
    other = peer.compile(pathlib.Path(layer)).load("w.safetensors")
    print("compiled once:", [path.stat().st_ino for path in kept] == [stamp], len(kept))
    out = floats([3, 64], [0] * 192)
    print("the same:", numbers(other.layer(x=x, out=out)) == numbers(y) == numbers(model.layer(x)), any(numbers(out)))
    print("shape:", tuple(model.layer(x).shape))
    gradients = model.layer_grad(x, x)
    print("several results:", gradients._fields, gradients.grad_experts.shape)
    experts = floats([4096, 2, 64], [0] * (4096 * 128))
    model.bind("experts", experts)
    print("bound:", any(numbers(model.layer(x))), model.tensor("experts") is experts)
    model.bind("experts", None)
    print("unbound:", any(numbers(model.layer(x))), any(numbers(model.tensor("experts"))))
    return model, x


def training(line):
    model = peer.compile(pathlib.Path(line).read_text(encoding="utf-8")).init(1)
    x, targets = floats([4, 2], [1, 0, 0, 1, -1, 0, 2, 1]), array.array("i", [0, 1, 2, 0])
    losses = [numbers(model.train_step(x, targets, step=step).loss)[0] for step in range(1, 41)]
    print("trains:", losses[0] > 1, losses[-1] < 0.2)
    print(model.train_step.__doc__.split("\n", 1)[1])
    refused(lambda: model.train_step(x, array.array("i", [0, 1, 2, 3])))
    refused(lambda: model.train_step(x, targets, step="soon"))
    refused(lambda: model.train_step(x, targets, rate=1))


def main():
    model, x = calls(sys.argv[1])
    training(sys.argv[2])
    refused(lambda: model.layer())
    refused(lambda: model.layer(x, x))
    refused(lambda: model.layer(floats([3, 32], [0] * 96)))
    refused(lambda: model.layer([[1.0] * 64]))
    refused(lambda: model.layer(x, out=bytes(768)))
    refused(lambda: model.layers(x))
    refused(lambda: model.bind("expert", x))
    refused(lambda: peer.compile("none.mlir"))
    refused(lambda: peer.compile("func.func\n"))
    refused(lambda: model.load("none.safetensors"))
    model.close()
    refused(lambda: model.layer(x))
    if importlib.util.find_spec("numpy"):
        import numpy
        again = peer.compile(sys.argv[1]).init(1)
        values = numpy.asarray(x)
        print("numpy:", type(again.layer(values)).__name__, again.layer(values).dtype, again.layer(values[:0]).shape)
        refused(lambda: again.layer(values.astype(numpy.float64)))
        refused(lambda: again.layer(numpy.zeros((3, 128), numpy.float32)[:, ::2]))
    else:
        print("no numpy")


main()
