"""What the tests of modules share: models to replace, and what is near enough."""
import copy

import pytest

torch = pytest.importorskip("torch")
import peer  # noqa: E402


def near(ours, theirs, what="", within=2e-6):
    """Relative to the largest element."""
    ours, theirs = ours.detach(), theirs.detach()
    assert ours.shape == theirs.shape, what
    largest = theirs.abs().max().clamp_min(1e-30)
    assert float((ours - theirs).abs().max() / largest) <= within, what


def original(kind="peer", **options):
    """A small layer of another package."""
    torch.manual_seed(0)
    if kind == "pkm":
        package = pytest.importorskip("product_key_memory")
        return package.PKM(16, **{"heads": 2, "num_keys": 8, "topk": 4, "dim_head": 8, **options})
    package = pytest.importorskip("PEER_pytorch")
    return package.PEER(16, **{"heads": 2, "num_experts": 64, "num_experts_per_head": 4, "dim_key": 8, **options})


def both(kind="peer", grad="dense", **options):
    """A layer, and what replaces a copy of it."""
    theirs = original(kind, **options)
    return theirs, peer.replace(copy.deepcopy(theirs), grad=grad, verbose=False)


def layer(**options):
    torch.manual_seed(1)
    return peer.PEER(16, **{"num_experts": 64, "heads": 2, "experts_per_head": 4, "key_dim": 8, **options})


class Block(torch.nn.Module):
    """Layers and linear layers in turn; one table for all layers where `shared`."""

    def __init__(self, layers, shared=False):
        super().__init__()
        self.layers = torch.nn.ModuleList(layers)
        self.linear = torch.nn.ModuleList(torch.nn.Linear(16, 16) for _ in layers)
        for each in self.layers if shared else ():
            each.experts = self.layers[0].experts

    def forward(self, x):
        for linear, each in zip(self.linear, self.layers):
            x = x + each(linear(x))
        return x
