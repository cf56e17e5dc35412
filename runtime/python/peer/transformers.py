"""Experts of transformers' mixtures computed by compiled layers, by transformers' own switch:

    import peer.transformers

    model.set_experts_implementation("peer")        # or from_pretrained(..., experts_implementation="peer")

Routers, weights and state dicts stay transformers'. The weights are laid out anew for layers, which takes their memory once more: at every step in training, since they
change, and once where nothing is trained. `peer.replace` keeps one copy alone, and has gradients in pair form.
"""
from transformers.integrations.moe import ALL_EXPERTS_FUNCTIONS

from ._torch.experts import experts_forward

__all__ = ["experts_forward"]

ALL_EXPERTS_FUNCTIONS.register("peer", experts_forward)
