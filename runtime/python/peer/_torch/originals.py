"""Layers of other packages: their state dicts under our names, and modules that take their place."""
import fnmatch

import torch

from .._layouts import LINEARS, QUERIES, TABLES, original_kind
from .._library import Error
from .modules import PEER, Experts, Layered, _Parameters


def _queries(tensor, config, kind):
    """Linear's rows [H*2*d, ...] to ours [..., H*2*d]; lucidrains' are ordered (half, head, component), ours and Meta's (head, half, component)."""
    if kind != "meta-memory":
        tensor = tensor.unflatten(0, (2, config.heads, config.key_dim)).transpose(0, 1).flatten(0, 2)
    return tensor.movedim(0, -1).contiguous()


def _their_queries(tensor, config, kind):
    tensor = tensor.movedim(-1, 0)
    if kind != "meta-memory":
        tensor = tensor.unflatten(0, (config.heads, 2, config.key_dim)).transpose(0, 1).flatten(0, 2)
    return tensor.contiguous()


def _keys(tensor, config, kind):
    """Lucidrains' [H, n, 2, d] or Meta's [2*H*n, d] to ours: [H, 2, n, d]."""
    if kind == "meta-memory":
        return tensor.reshape(config.heads, 2, config.keys, config.key_dim)
    return tensor.permute(0, 2, 1, 3).contiguous()


def adopt(module, state_dict, prefix):
    """Renames, in place, what a checkpoint of lucidrains' PEER or PKM, Meta's HashingMemory or transformers' experts holds under `prefix`."""
    config = module.config
    if isinstance(module, Experts):
        if prefix + "gate_up_proj" in state_dict and prefix + "down_proj" in state_dict:
            gates, ups = state_dict.pop(prefix + "gate_up_proj").chunk(2, 1)
            down = state_dict.pop(prefix + "down_proj").transpose(1, 2)
            state_dict[prefix + "experts"] = torch.stack([gates, ups, down], 2).flatten(0, 1)
        return
    kind = next((kind for kind, name in QUERIES.items() if prefix + f"{name}.weight" in state_dict), None)
    tables = next(([prefix + name for name in names] for rows, names in TABLES.get(kind, {}).items() if rows == config.rows), None)
    held = tables is not None and all(name in state_dict for name in tables)
    # Of tables that several layers share, checkpoints of Meta's may have one: that of the first, which is there by now.
    if tables is None or not (held or module.shares_table):
        return
    for name in ("weight", "bias"):
        if (linear := f"{prefix}{QUERIES[kind]}.{name}") in state_dict:
            state_dict[f"{prefix}query.{name}"] = _queries(state_dict.pop(linear), config, kind)
    if prefix + "keys" in state_dict:
        state_dict[prefix + "keys"] = _keys(state_dict[prefix + "keys"], config, kind)
    state_dict[prefix + "experts"] = torch.stack([state_dict.pop(name) for name in tables], 1) if held else module.experts.detach()
    if kind == "meta-memory":
        return
    if prefix + "norm.gamma" in state_dict:
        state_dict[prefix + "norm.weight"] = state_dict.pop(prefix + "norm.gamma") + 1
    if config.query_norm:
        for name in ("weight", "bias"):
            state_dict[f"{prefix}query_norm.{name}"] = state_dict.pop(f"{prefix}norm.{name}")


def to_original(module):
    """The state dict that the layer would have as what `replace` had it from; of one that is new, as lucidrains' PEER (row "uv") or PKM (row "v"
    with a norm of queries) or Meta's HashingMemory (row "v" without), or peer.Experts as transformers' experts."""
    config, ours = module.config, module.state_dict()
    if isinstance(module, Experts) and config.gate is None and config.rows == "guv":
        gates, ups, down = ours["experts"].view(config.num_experts, config.rows_per_expert, 3, config.dim).unbind(2)
        return {"gate_up_proj": torch.cat([gates, ups], 1), "down_proj": down.transpose(1, 2).contiguous()}
    if not isinstance(module, PEER):
        raise Error(f"a {type(module).__name__} with row={config.rows!r} has the names of no other package")
    kind = original_kind(config, module.origin)
    theirs = {f"{QUERIES[kind]}.{name}": _their_queries(ours[f"query.{name}"], config, kind) for name in ("weight", "bias") if f"query.{name}" in ours}
    theirs["keys"] = ours["keys"].flatten(0, 2) if kind == "meta-memory" else ours["keys"].permute(0, 2, 1, 3).contiguous()
    for position, name in enumerate(TABLES[kind][config.rows]):
        theirs[name] = ours["experts"][:, position].contiguous()
    if kind == "meta-memory":
        return theirs | {name: ours[name] for name in LINEARS if name in ours}
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


def _from(kind, *arguments, **options):
    """A layer whose values come later, from one of a kind."""
    made = PEER(*arguments, **options, device="meta")
    made.origin = kind
    return made


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
    return _from("lucidrains-peer", dim, num_experts=module.num_experts, heads=module.heads, experts_per_head=module.num_experts_per_head_topk,
                key_dim=module.keys.shape[3], gate="softmax" if isinstance(module.score_activation, torch.nn.Softmax) else "relu",
                activation=activation, pre_norm=None if norm is None else "rms", norm_epsilon=1e-24, query_bias=module.to_queries[0].bias is not None, grad=grad)


def _from_pkm(module, grad):
    dropout = max(each.p for each in (module.input_dropout, module.query_dropout, module.value_dropout, module.attn_dropout))
    _refuse(module, {
        "has concat_values_and_combine, which mixes heads in a way that layers cannot": module.concat_values_and_combine,
        "has differentiable_topk; layers choose exactly": module.differentiable_topk,
        f"has dropout {dropout}, which is not done inside of a layer; set it to 0": dropout > 0,
        "has a batch norm, whose statistics layers do not keep": not module.use_layernorm,
        "has pre_layernorm: put the layer norm before it": not isinstance(module.pre_layernorm, torch.nn.Identity),
        "has norm_output: put the layer norm behind it": not isinstance(module.output_norm, torch.nn.Identity)})
    return _from("lucidrains-pkm", module.to_queries.weight.shape[1], num_experts=module.num_keys**2, heads=module.heads, experts_per_head=module.topk,
                key_dim=module.keys.shape[3], gate="softmax" if isinstance(module.gate_activation, torch.nn.Softmax) else "relu", row="v",
                query_norm="layer", norm_epsilon=module.norm.eps, query_bias=module.to_queries.bias is not None, grad=grad)


# Their names in transformers, too.
_BY_NAME = {"SiLU": "silu", "SiLUActivation": "silu", "GELU": "gelu", "GELUActivation": "gelu", "ReLU": "relu"}


def expert_options(module):
    """Arguments of peer.Experts for experts of transformers'."""
    both, down = getattr(module, "gate_up_proj", None), getattr(module, "down_proj", None)
    if not all(isinstance(each, torch.nn.Parameter) and each.dim() == 3 for each in (both, down)):
        raise Error(f"{type(module).__name__} has no gate_up_proj [E, 2*I, H] and down_proj [E, H, I]")
    count, width, dim = both.shape
    activation = _BY_NAME.get(type(getattr(module, "act_fn", None)).__name__)
    chosen = getattr(getattr(module, "config", None), "num_experts_per_tok", None) or getattr(module, "top_k", None)
    _refuse(module, {
        "has transposed projections, which layers do not have": getattr(module, "is_transposed", False) or tuple(down.shape) != (count, dim, width // 2),
        "has its gates and ups in turn, which layers do not have": not getattr(module, "is_concatenated", True),
        "has a norm of each expert's output, which layers do not have": getattr(module, "has_post_expert_norm", False),
        "has biases, which layers do not have": getattr(module, "has_bias", False) or hasattr(module, "gate_up_proj_bias"),
        f"has the activation {type(getattr(module, 'act_fn', None)).__name__}; silu, gelu and relu can be had":
            activation is None or getattr(module.act_fn, "approximate", "none") != "none",
        "does not say how many experts a token has (config.num_experts_per_tok)": chosen is None})
    return {"dim": dim, "num_experts": count, "experts_per_token": chosen, "hidden": width // 2, "activation": activation}


def _from_experts(module, grad):
    return Experts(**expert_options(module), grad=grad, device="meta")


# What a HashingMemory is known by; there are others of its name.
_HASHING = ("input_dim", "output_dim", "heads", "knn", "k_dim", "v_dim", "size", "use_peer_variant", "v_proj", "swilu_proj", "gating", "query_proj",
            "input_dropout", "query_dropout", "value_dropout")


def _from_hashing(module, grad):
    lacks = [name for name in _HASHING if not hasattr(module, name)]
    _refuse(module, {f"lacks {', '.join(lacks)}, which that of facebookresearch/memory has": lacks})
    tables = [getattr(module, name, None) for name in (("values_u", "values_v") if module.use_peer_variant else ("values",))]
    dropout = max(module.input_dropout, module.query_dropout, module.value_dropout)
    mlps = getattr(module.query_proj, "query_mlps", ())
    _refuse(module, {
        "has a batch norm of queries, whose statistics layers do not keep": any(isinstance(each, torch.nn.BatchNorm1d) for each in mlps),
        "has queries that are not one linear layer": len(mlps) != 1 or not isinstance(mlps[0], torch.nn.Linear),
        f"has dropout {dropout}, which is not done inside of a layer; set it to 0": dropout > 0,
        f"gives {module.output_dim} numbers for {module.input_dim}; layers give as many as they take": module.input_dim != module.output_dim,
        "has no values yet: it shares those of another (mem_share_values), so set .values (.values_u and .values_v) to that one's":
            any(each is None for each in tables)})
    names = [*LINEARS, "keys", *TABLES["meta-memory"]["uv" if module.use_peer_variant else "v"], *(f"{QUERIES['meta-memory']}.{name}" for name in ("weight", "bias"))]
    more = [name for name, _ in module.named_parameters(remove_duplicate=False) if name not in names]
    _refuse(module, {f"has {', '.join(more)}, which that of facebookresearch/memory does not have": more})
    projection = "swilu" if module.swilu_proj else "linear" if module.v_proj else None
    made = _from("meta-memory", module.input_dim, num_experts=module.size, heads=module.heads, experts_per_head=module.knn, key_dim=module.k_dim // 2,
                 row="uv" if module.use_peer_variant else "v", query_bias=mlps[0].bias is not None, gated=module.gating is not None,
                 value_proj=None if module.use_peer_variant else projection, grad=grad,
                 value_dim=module.v_dim if module.v_dim != module.input_dim else None)
    # The PEER variant has these and never looks at them; its checkpoints have them, too.
    for name in ("value_proj", "swilu_projection") if module.use_peer_variant else ():
        if (idle := getattr(module, name, None)) is not None:
            setattr(made, name, _Parameters(weight=torch.empty_like(idle.weight, device="meta"), bias=torch.empty_like(idle.bias, device="meta")))
    return made


_converters = {"PEER_pytorch.PEER.PEER": _from_peer, "product_key_memory.product_key_memory.PKM": _from_pkm, "*.HashingMemory": _from_hashing,
               "transformers.models.*Experts": _from_experts}


def register_converter(path, convert):
    """Teaches `replace` a class, "package.module.Class": convert(module) returns a peer.PEER with its values."""
    _converters[path] = lambda module, grad: convert(module)


def _converter(module):
    path = f"{type(module).__module__}.{type(module).__qualname__}"
    return next((convert for known, convert in _converters.items() if fnmatch.fnmatchcase(path, known)), None)


def _their_table(module):
    """(What a table of theirs is known by, its first tensor); None where there is none."""
    theirs = dict(module.named_parameters())
    for named in (names for rows in TABLES.values() for names in rows.values()):
        if all(name in theirs for name in named):
            return tuple(id(theirs[name]) for name in named), theirs[named[0]]
    return None, None


def _convert(convert, module, grad, tables):
    """`tables`: ours that there are, by what theirs are known by."""
    ours = convert(module, grad)
    if next(ours.parameters()).device.type == "meta":
        known, table = _their_table(module)
        for each in module.parameters():
            # Meta's tables are of bf16, between layers of f32.
            widened = each is table and ours.config.rows == "v" and each.dtype == torch.bfloat16 and getattr(ours, "origin", None) == "meta-memory"
            if each.dtype != torch.float32 and not widened:
                raise Error(f"{type(module).__name__} has parameters of {each.dtype}; layers compute in torch.float32")
            if hasattr(each, "placements"):
                raise Error(f"{type(module).__name__} has sharded parameters; replace it before they are")
        if known in tables:
            ours.experts, ours.shares_table = None, True
        ours.to_empty(device=next(module.parameters()).device)
        if known in tables:
            ours.experts = tables[known]
        ours.load_state_dict(module.state_dict())
        for name, parameter in ours.named_parameters():
            frozen = not any(each.requires_grad for each in module.parameters())
            parameter.requires_grad_(parameter.requires_grad and not frozen)
        for name in ("pk_value_param", "fixed_lr"):
            if hasattr(table, name):
                setattr(ours.experts, name, getattr(table, name))
    ours.train(module.training)
    for hooks in ("_forward_hooks", "_forward_pre_hooks"):
        getattr(ours, hooks).update(getattr(module, hooks))
    return ours


def replace(model, only=None, dry_run=False, grad="rows", verbose=True):
    """Puts compiled layers in the place of lucidrains' PEER (PEER-pytorch) and PKM (product-key-memory), of Meta's HashingMemory
    (facebookresearch/memory), and of the experts of transformers' mixtures (their routers stay), with their values, and returns the model.

    only     only(name, module) says whether to replace one
    dry_run  says what would be replaced, and leaves the model as it is
    grad     of the tables, as of peer.PEER

    Prints one line for each layer that it knows: what it became, or why it was left. Checkpoints of before load into the new modules. A module
    that is used in several places is replaced in all of them. A module that is such a layer itself is returned replaced.
    """
    done, tables = {}, {}

    def visit(name, module):
        if module in done:
            return done[module]
        convert = _converter(module)
        if convert is None or (only is not None and not only(name, module)):
            return None
        try:
            new = _convert(convert, module, grad, tables)
        except Error as error:
            new, said = None, f"left: {error}"
        else:
            said = f"{'would become' if dry_run else 'is now'} {type(new).__name__}({new.extra_repr()})"
            known, table = _their_table(module) if getattr(new, "origin", None) else (None, None)
            if known is not None:
                said += ", its table that of a layer before" if known in tables else ", its table widened to f32" if table.dtype != torch.float32 else ""
                tables.setdefault(known, new.experts)
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
