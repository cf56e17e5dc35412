"""What transformers calls for the experts of a mixture: see peer.transformers."""
import weakref

import torch

from .._descriptions import Experts as _Experts
from .._library import Error
from . import ops
from .calls import refuse_others
from .originals import expert_options

# Of each of their modules a layer, and the table that it had last.
_known = weakref.WeakKeyDictionary()


class _Known:
    def __init__(self, module):
        options = expert_options(module)
        sizes = [options[name] for name in ("dim", "num_experts", "experts_per_token", "hidden")]
        self.handle = ops.Handle(_Experts(*sizes, None, options["activation"]), "dense")
        self.made = self.table = None

    def of(self, module):
        """Rows of gate, up and down: as a function of the weights where these are trained, otherwise kept as long as they are the same."""
        weights = module.gate_up_proj, module.down_proj
        if torch.is_grad_enabled() and any(each.requires_grad for each in weights):
            self.made = self.table = None
            return _rows(*weights)
        made = [(each.data_ptr(), each._version) for each in weights]
        if self.made != made:
            with torch.no_grad():
                self.made, self.table = made, _rows(*weights)
        return self.table


def _rows(both, down):
    gates, ups = both.chunk(2, 1)
    return torch.stack([gates, ups, down.transpose(1, 2)], 2).flatten(0, 1)


def experts_forward(module, hidden_states, top_k_index, top_k_weights):
    """The experts of a module with gate_up_proj [E, 2*I, D] and down_proj [E, D, I]: f32 [T, D] of hidden_states, for experts [T, k] and their weights.

    An index of E is none. Raises peer.Error for what layers are not: other activations, biases, other types than f32.
    """
    known = _known.get(module)
    if known is None:
        known = _known[module] = _Known(module)
    config = known.handle.config
    refuse_others(hidden_states, "hidden_states")
    if module.gate_up_proj.dtype != torch.float32:
        raise Error(f"gate_up_proj is {module.gate_up_proj.dtype}; layers compute in torch.float32")
    if top_k_index.shape[-1] != config.experts_per_head:
        raise Error(f"top_k_index has the shape {list(top_k_index.shape)}, expected [tokens, {config.experts_per_head}]")
    chosen = top_k_index.masked_fill(top_k_index >= config.num_experts, -1).to(torch.int32).unsqueeze(1)
    given = hidden_states, [known.of(module)], known.handle.number, [chosen, top_k_weights.to(torch.float32).unsqueeze(1)]
    if torch.is_grad_enabled() and any(each.requires_grad for each in (hidden_states, top_k_weights, *given[1])):
        return torch.ops.peer.forward(*given)[0]
    return torch.ops.peer.infer(*given)
