"""Layers of other packages: their state dicts under our names, and modules that take their place."""
import fnmatch

import torch

from .._library import Error
from .modules import PEER, Experts, Layered

_ROWS = {"uv": ("weight_down_embed.weight", "weight_up_embed.weight"), "v": ("values.weight",)}


def _queries(weight, config):
    """Linear's [2*H*d, D], rows ordered (half, head, component), to ours: [D, H*2*d], columns ordered (head, half, component)."""
    return weight.view(2, config.heads, config.key_dim, config.dim).permute(3, 1, 0, 2).reshape(config.dim, -1)


def _their_queries(weight, config):
    return weight.view(config.dim, config.heads, 2, config.key_dim).permute(2, 1, 3, 0).reshape(-1, config.dim)


def adopt(module, state_dict, prefix):
    """Renames, in place, what a checkpoint of lucidrains' PEER or PKM, or of transformers' experts, holds under `prefix`."""
    config = module.config
    if isinstance(module, Experts):
        if prefix + "gate_up_proj" in state_dict and prefix + "down_proj" in state_dict:
            gates, ups = state_dict.pop(prefix + "gate_up_proj").chunk(2, 1)
            down = state_dict.pop(prefix + "down_proj").transpose(1, 2)
            state_dict[prefix + "experts"] = torch.stack([gates, ups, down], 2).flatten(0, 1)
        return
    tables = [prefix + name for name in _ROWS.get(config.rows, ())]
    linear = next((prefix + name for name in ("to_queries.0.weight", "to_queries.weight") if prefix + name in state_dict), None)
    if linear is None or not all(name in state_dict for name in tables):
        return
    state_dict[prefix + "query.weight"] = _queries(state_dict.pop(linear), config)
    state_dict[prefix + "keys"] = state_dict[prefix + "keys"].permute(0, 2, 1, 3).contiguous()
    state_dict[prefix + "experts"] = torch.stack([state_dict.pop(name) for name in tables], 1)
    if prefix + "norm.gamma" in state_dict:
        state_dict[prefix + "norm.weight"] = state_dict.pop(prefix + "norm.gamma") + 1
    if config.query_norm:
        for name in ("weight", "bias"):
            state_dict[f"{prefix}query_norm.{name}"] = state_dict.pop(f"{prefix}norm.{name}")


def to_original(module):
    """The state dict that the layer would have as lucidrains' PEER (row "uv") or PKM (row "v"), or peer.Experts as transformers' experts."""
    config, ours = module.config, module.state_dict()
    if isinstance(module, Experts) and config.gate is None and config.rows == "guv":
        gates, ups, down = ours["experts"].view(config.num_experts, config.rows_per_expert, 3, config.dim).unbind(2)
        return {"gate_up_proj": torch.cat([gates, ups], 1), "down_proj": down.transpose(1, 2).contiguous()}
    if not isinstance(module, PEER):
        raise Error(f"a {type(module).__name__} with row={config.rows!r} has the names of no other package")
    if config.rows not in _ROWS or config.shared_keys:
        raise Error(f"a layer with row={config.rows!r}{' and shared keys' if config.shared_keys else ''} is none of lucidrains' PEER or PKM")
    theirs = {"to_queries.0.weight" if config.rows == "uv" else "to_queries.weight": _their_queries(ours["query.weight"], config),
              "keys": ours["keys"].permute(0, 2, 1, 3).contiguous()}
    for position, name in enumerate(_ROWS[config.rows]):
        theirs[name] = ours["experts"][:, position].contiguous()
    if config.pre_norm:
        theirs["norm.gamma"] = ours["norm.weight"] - 1
    if config.query_norm:
        theirs.update({f"norm.{name}": ours[f"query_norm.{name}"] for name in ("weight", "bias")})
    return theirs


def _refuse(module, faults):
    for fault, holds in faults.items():
        if holds:
            raise Error(f"{type(module).__name__} {fault}")


_ACTIVATIONS = {torch.nn.GELU: "gelu", torch.nn.SiLU: "silu", torch.nn.ReLU: "relu"}


def _from_peer(module, grad):
    activation = _ACTIVATIONS.get(type(module.activation))
    norm = getattr(module.norm, "gamma", None)
    _refuse(module, {
        "has separate_embed_per_head, for which layers have no pools": module.separate_embed_per_head,
        f"has dropout {module.dropout.p}, which is not done inside of a layer; set it to 0": module.dropout.p > 0,
        f"has the activation {type(module.activation).__name__}; gelu, silu and relu can be had": activation is None,
        "has a GELU by tanh; the exact one can be had": getattr(module.activation, "approximate", "none") != "none",
        f"takes the {module.product_key_topk} best of each half, fewer than the {module.num_experts_per_head_topk} that it chooses":
            module.product_key_topk < module.num_experts_per_head_topk})
    dim = module.weight_down_embed.weight.shape[1]
    # The best of the sums of two lists are among the sums of the best of both, however many of those are looked at.
    return PEER(dim, num_experts=module.num_experts, heads=module.heads, experts_per_head=module.num_experts_per_head_topk,
                key_dim=module.keys.shape[3], gate="softmax" if isinstance(module.score_activation, torch.nn.Softmax) else "relu",
                activation=activation, pre_norm=None if norm is None else "rms", norm_epsilon=1e-24, grad=grad, device="meta")


def _from_pkm(module, grad):
    dropout = max(each.p for each in (module.input_dropout, module.query_dropout, module.value_dropout, module.attn_dropout))
    _refuse(module, {
        "has concat_values_and_combine, which mixes heads in a way that layers cannot": module.concat_values_and_combine,
        "has differentiable_topk; layers choose exactly": module.differentiable_topk,
        f"has dropout {dropout}, which is not done inside of a layer; set it to 0": dropout > 0,
        "has a batch norm, whose statistics layers do not keep": not module.use_layernorm,
        "has pre_layernorm: put the layer norm before it": not isinstance(module.pre_layernorm, torch.nn.Identity),
        "has norm_output: put the layer norm behind it": not isinstance(module.output_norm, torch.nn.Identity)})
    return PEER(module.to_queries.weight.shape[1], num_experts=module.num_keys**2, heads=module.heads, experts_per_head=module.topk,
                key_dim=module.keys.shape[3], gate="softmax" if isinstance(module.gate_activation, torch.nn.Softmax) else "relu", row="v",
                query_norm="layer", norm_epsilon=module.norm.eps, grad=grad, device="meta")


# Their names in transformers, too.
_BY_NAME = {"SiLU": "silu", "SiLUActivation": "silu", "GELU": "gelu", "GELUActivation": "gelu", "ReLU": "relu"}


def _from_experts(module, grad):
    both, down = getattr(module, "gate_up_proj", None), getattr(module, "down_proj", None)
    if not all(isinstance(each, torch.nn.Parameter) and each.dim() == 3 for each in (both, down)):
        raise Error(f"{type(module).__name__} has no gate_up_proj [E, 2*I, H] and down_proj [E, H, I]")
    count, width, dim = both.shape
    activation = _BY_NAME.get(type(getattr(module, "act_fn", None)).__name__)
    chosen = getattr(getattr(module, "config", None), "num_experts_per_tok", None) or getattr(module, "top_k", None)
    _refuse(module, {
        "has transposed projections, which layers do not have": getattr(module, "is_transposed", False) or tuple(down.shape) != (count, dim, width // 2),
        "has biases, which layers do not have": getattr(module, "has_bias", False) or hasattr(module, "gate_up_proj_bias"),
        f"has the activation {type(getattr(module, 'act_fn', None)).__name__}; silu, gelu and relu can be had":
            activation is None or getattr(module.act_fn, "approximate", "none") != "none",
        "does not say how many experts a token has (config.num_experts_per_tok)": chosen is None})
    return Experts(dim, num_experts=count, experts_per_token=chosen, hidden=width // 2, activation=activation, grad=grad, device="meta")


def _not_yet(module, grad):
    raise Error("HashingMemory has linear layers with a bias, which layers do not have yet")


_converters = {"PEER_pytorch.PEER.PEER": _from_peer, "product_key_memory.product_key_memory.PKM": _from_pkm, "*.HashingMemory": _not_yet,
               "transformers.models.*Experts": _from_experts}


def register_converter(path, convert):
    """Teaches `replace` a class, "package.module.Class": convert(module) returns a peer.PEER with its values."""
    _converters[path] = lambda module, grad: convert(module)


def _converter(module):
    path = f"{type(module).__module__}.{type(module).__qualname__}"
    return next((convert for known, convert in _converters.items() if fnmatch.fnmatchcase(path, known)), None)


def _convert(convert, module, grad):
    ours = convert(module, grad)
    if next(ours.parameters()).device.type == "meta":
        theirs = next(module.parameters())
        if theirs.dtype != torch.float32:
            raise Error(f"{type(module).__name__} has parameters of {theirs.dtype}; layers compute in torch.float32")
        ours.to_empty(device=theirs.device)
        ours.load_state_dict(module.state_dict())
        for name, parameter in ours.named_parameters():
            frozen = not any(each.requires_grad for each in module.parameters())
            parameter.requires_grad_(parameter.requires_grad and not frozen)
    ours.train(module.training)
    for hooks in ("_forward_hooks", "_forward_pre_hooks"):
        getattr(ours, hooks).update(getattr(module, hooks))
    return ours


def replace(model, only=None, dry_run=False, grad="rows", verbose=True):
    """Puts compiled layers in the place of lucidrains' PEER (PEER-pytorch) and PKM (product-key-memory), and of the experts of transformers'
    mixtures (their routers stay), with their values, and returns the model.

    only     only(name, module) says whether to replace one
    dry_run  says what would be replaced, and leaves the model as it is
    grad     of the tables, as of peer.PEER

    Prints one line for each layer that it knows: what it became, or why it was left. Checkpoints of before load into the new modules. A module
    that is used in several places is replaced in all of them. A module that is such a layer itself is returned replaced.
    """
    done = {}

    def visit(name, module):
        if module in done:
            return done[module]
        convert = _converter(module)
        if convert is None or (only is not None and not only(name, module)):
            return None
        try:
            new = _convert(convert, module, grad)
        except Error as error:
            new, said = None, f"left: {error}"
        else:
            said = f"{'would become' if dry_run else 'is now'} {type(new).__name__}({new.extra_repr()})"
        if verbose:
            print(f"peer: {name or 'the model'} ({type(module).__qualname__}) {said}")
        if isinstance(new, Layered) and not dry_run:
            new._handle.name = name
        done[module] = new
        return new

    new = visit("", model)
    if new is not None:
        return model if dry_run else new
    # Names of one module in several places, too.
    for name, module in list(model.named_modules(remove_duplicate=False)):
        for child_name, child in list(module._modules.items()) if module not in done else ():
            new = visit(f"{name}.{child_name}" if name else child_name, child) if child is not None else None
            if new is not None and not dry_run:
                setattr(module, child_name, new)
    return model
