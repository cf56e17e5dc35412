"""Compiled layers of very many, very small experts, called on arrays.

    import numpy, peer

    model = peer.compile("peer_layer_small.mlir")            # or peer.open("layer.peer")
    model.init(seed=1)                                       # or model.load("weights.safetensors")
    y = model.layer(numpy.ones((16, 64), numpy.float32))     # f32 [T, 64] -> f32 [T, 64]

A description (`*.mlir`) says what a model computes; `peer-opt` compiles it once, and the artifact is kept. Its functions are attributes of the
model, and `help(model.layer)` says what each takes and gives. Arguments are whatever speaks DLPack or Python's buffer protocol (numpy arrays,
array.array, memoryview, tensors of frameworks on the CPU) and are read in place; results are numpy arrays, or memoryviews where there is no numpy.

With torch there is more, each with a `help` of its own:

    peer.PEER, peer.PKM             modules: very many experts of one neuron each, and of one value each
    peer.MoE, peer.Experts          mixtures of networks, with a router or for one of yours
    peer.replace, to_original       puts them where a model has layers of other packages; the state dict under their names again
    peer.register_converter         teaches `replace` another class
    peer.optim                      AdamW, LazyAdamW, in_backward: steps that cost what the rows cost that tokens have selected
    peer.tables                     the tables of a model
    peer.export                     a whole decoder as a description and weights, for peer-opt and peer-run

`python -m peer.convert` makes a description and weights of a layer in a state dict, without torch.

Everything that goes wrong is a `peer.Error` with one sentence.
"""
import importlib.util

from ._artifact import Artifact, Entry
from ._compile import compile
from ._library import Error, version
from ._artifact import open

__all__ = ["Artifact", "Entry", "Error", "compile", "open", "version"]

# Looked up when they are first asked for: torch takes seconds to import, and may be missing.
_TORCH = {"PEER": "modules", "PKM": "modules", "MoE": "modules", "Experts": "modules", "tables": "modules", "replace": "originals", "register_converter": "originals",
          "to_original": "originals", "export": "export", "Exported": "export", "optim": None}


class _NoTorch(Error, AttributeError):
    """Of both kinds, since help and hasattr ask for what is not there."""


def __getattr__(name):
    if name not in _TORCH:
        raise AttributeError(f"module 'peer' has no attribute '{name}'")
    if importlib.util.find_spec("torch") is None:
        raise _NoTorch(f"peer.{name} needs torch, which this Python does not have: pip install torch")
    if name == "optim":
        return importlib.import_module(".optim", __name__)
    return getattr(importlib.import_module(f"._torch.{_TORCH[name]}", __name__), name)


def __dir__():
    return sorted([*globals(), *_TORCH])
