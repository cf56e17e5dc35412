"""Compiled layers of very many, very small experts, called on arrays.

    import numpy, peer

    model = peer.compile("peer_layer_small.mlir")            # or peer.open("layer.peer")
    model.init(seed=1)                                       # or model.load("weights.safetensors")
    y = model.layer(numpy.ones((16, 64), numpy.float32))     # f32 [T, 64] -> f32 [T, 64]

A description (`*.mlir`) says what a model computes; `peer-opt` compiles it once, and the artifact is kept. Its functions are attributes of the
model, and `help(model.layer)` says what each takes and gives. Arguments are whatever speaks DLPack or Python's buffer protocol (numpy arrays,
array.array, memoryview, tensors of frameworks on the CPU) and are read in place; results are numpy arrays, or memoryviews where there is no numpy.

Everything that goes wrong is a `peer.Error` with one sentence.
"""
from ._artifact import Artifact, Entry
from ._compile import compile
from ._library import Error, version
from ._artifact import open

__all__ = ["Artifact", "Entry", "Error", "compile", "open", "version"]
