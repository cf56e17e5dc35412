"""Two threads of one program in one model, on parameters that the program keeps: what each computes is what one alone computes, bit for bit.

Usage: two_threads.py LIBRARY MODEL.peer. The model is examples/peer_layer_small.mlir.
"""
import ctypes
import random
import sys
import threading

from peer_api import Model, Options, Tensor

CALLS, THREADS = 60, 2


def main():
    model = Model(*sys.argv[1:3])
    model.init(1)
    # The library's own values, moved to memory of this program.
    for parameter in model.manifest["parameters"]:
        view = model.tensor(parameter["name"])
        own = Tensor(parameter["dtype"], parameter["shape"])
        ctypes.memmove(own.memory, view.data, own.bytes)
        model.bind(parameter["name"], own)
    rng = random.Random(1)
    inputs = [Tensor("f32", [tokens, 64], bytes((ctypes.c_float * (64 * tokens))(*[rng.gauss(0, 1) for _ in range(64 * tokens)])))
              for tokens in [1, 7, 16, 3] * (CALLS // 4)]

    def forward(x):
        y = model.results("layer", x.shape[0])
        model.run("layer", [x], y, Options(threads=1))
        return y[0].raw()

    alone = [forward(x) for x in inputs]
    found = [None] * THREADS

    def work(number):
        found[number] = [forward(x) for x in inputs]

    threads = [threading.Thread(target=work, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(CALLS, "calls in each of", THREADS, "threads:", "equal" if found == [alone] * THREADS else "DIFFER")

    # The memory is the program's: what it changes is what the model computes with.
    ctypes.memset(model.bound["experts"].memory, 0, model.bound["experts"].bytes)
    print("without experts:", "zero" if not any(forward(inputs[1])) else "NOT ZERO")
    model.bind("experts", None)
    print("its own memory again:", "zero" if not any(forward(inputs[1])) else "NOT ZERO")
    for what in (lambda: model.bind("experts", Tensor("f32", [2, 2])), lambda: model.run("layer", [], [])):
        try:
            what()
        except RuntimeError as error:
            print("refused:", error)
    model.close()


main()
