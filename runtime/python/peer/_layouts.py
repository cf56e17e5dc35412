"""Layers of other packages in files: their names and shapes, and their tensors in our order and back. Works without torch."""
import array
import math

from ._descriptions import ROWS, Layer
from ._library import Error
from ._safetensors import PIECE

# The vectors of a row, by kind and letters of the row, in our order.
TABLES = {"lucidrains-peer": {"uv": ("weight_down_embed.weight", "weight_up_embed.weight")}, "lucidrains-pkm": {"v": ("values.weight",)},
          "meta-memory": {"v": ("values.weight",), "uv": ("values_u.weight", "values_v.weight")}}
QUERIES = {"lucidrains-peer": "to_queries.0", "lucidrains-pkm": "to_queries", "meta-memory": "query_proj.query_mlps.0"}
# Linear layers around the values, which Meta's have and ours under the same names, in the same layout.
LINEARS = tuple(f"{layer}.{name}" for layer in ("value_proj", "swilu_projection", "gating") for name in ("weight", "bias"))
# Names under a layer's prefix: those it must have, and those it may.
NAMES = {"lucidrains-peer": ((*TABLES["lucidrains-peer"]["uv"], "keys", "to_queries.0.weight"), ("norm.gamma", "to_queries.0.bias")),
         "lucidrains-pkm": ((*TABLES["lucidrains-pkm"]["v"], "keys", "to_queries.weight", "norm.weight", "norm.bias"), ("to_queries.bias",)),
         "meta-memory": (("keys", "query_proj.query_mlps.0.weight"),
                         ("query_proj.query_mlps.0.bias", *TABLES["meta-memory"]["v"], *TABLES["meta-memory"]["uv"], *LINEARS)),
         "peer": (("experts", "keys", "query.weight"), ("norm.weight", "query_norm.weight", "query_norm.bias", "query.bias", *LINEARS))}
# What a file does not say: the packages' defaults.
DEFAULTS = {"lucidrains-peer": {"experts_per_head": 1, "gate": "relu", "activation": "gelu"},
            "lucidrains-pkm": {"experts_per_head": 32, "gate": "softmax"},
            "meta-memory": {"experts_per_head": 32},
            "peer": {"experts_per_head": 16, "gate": "softmax", "activation": "gelu", "norm_epsilon": 1e-5}}
# What wrappers put before names.
WRAPPERS = ("module.", "model.", "_orig_mod.")
# Names of variants that layers cannot be.
_REFUSED = {"maybe_concat_combine.2.weight": "has concat_values_and_combine, which mixes heads in a way that layers cannot",
            "norm.fn.weight": "has a batch norm, whose statistics layers do not keep",
            "query_proj.query_mlps.1.weight": "has a batch norm of queries, whose statistics layers do not keep",
            "pre_layernorm.weight": "has pre_layernorm: put the layer norm before it",
            "output_norm.weight": "has norm_output: put the layer norm behind it"}


def find(names):
    """(prefix, kind) of all layers whose names are there, in the files' order; one that lacks a name is found, too."""
    found = {}
    for kind, (required, optional) in NAMES.items():
        for name in names:
            for ending in (*required, *optional):
                if name == ending or name.endswith("." + ending):
                    found.setdefault((name[:len(name) - len(ending)], kind), set()).add(ending)
    best = {}
    for (prefix, kind), endings in found.items():
        # `keys` is a name of all, and others have it too.
        telling = endings.intersection(NAMES[kind][0]) - {"keys", "norm.weight", "norm.bias"}
        if len(telling) >= (1 if kind == "meta-memory" or kind == "lucidrains-pkm" and "keys" in endings else 2):
            if prefix not in best or len(endings) > len(best[prefix][1]):
                best[prefix] = (kind, endings)
    return [(prefix, kind) for prefix, (kind, _) in best.items()]


def _shape(tensors, name, pattern, sizes):
    """Checks a shape against letters, of which known ones are in `sizes`; others are learnt."""
    shape = tensors[name].shape
    wanted = [sizes.get(letter, letter) if isinstance(letter, str) else letter for letter in pattern]
    if len(shape) != len(wanted) or any(isinstance(want, int) and want != size for want, size in zip(wanted, shape)):
        raise Error(f"{name} has the shape {list(shape)}, expected [{', '.join(map(str, wanted))}]")
    sizes.update({letter: size for letter, size in zip(wanted, shape) if isinstance(letter, str)})


def config(kind, tensors, said):
    """The layer that a kind's tensors are of, `said` what they do not say (see DEFAULTS)."""
    for name, fault in _REFUSED.items():
        if name in tensors:
            raise Error(f"the layer {fault}")
    required, optional = NAMES[kind]
    missing = [name for name in required if name not in tensors]
    extra = [name for name in tensors if name not in required and name not in optional]
    if missing or extra:
        parts = [f"lacks {', '.join(missing)}"] * bool(missing) + [f"has {', '.join(extra)}, which no such layer has"] * bool(extra)
        raise Error(f"the layer ({kind}) {' and '.join(parts)}")
    sizes = {}
    if kind == "peer":
        _shape(tensors, "keys", ["H", 2, "n", "d"], sizes)
        heads, (dim, width) = sizes.pop("H"), tensors["query.weight"].shape
        sizes.update(D=dim, N=sizes["n"]**2)
        _shape(tensors, "experts", ["N", "F", "V" if tensors["experts"].shape[1:2] == (1,) else "D"], sizes)
        if heads not in (1, width // (2 * sizes["d"])) or width % (2 * sizes["d"]):
            raise Error(f"query.weight has the shape [{dim}, {width}], expected [{dim}, {heads * 2 * sizes['d']}]")
        rows = next((letters for letters, count in ROWS.items() if count == sizes["F"]), None)
        if rows is None:
            raise Error(f"experts has rows of {sizes['F']} vectors, expected 1, 2 or 3")
        made = Layer(dim, sizes["N"], width // (2 * sizes["d"]), key_dim=sizes["d"], rows=rows, shared_keys=heads == 1 < width // (2 * sizes["d"]),
                     query_norm="layer" if "query_norm.weight" in tensors else None, pre_norm="rms" if "norm.weight" in tensors else None,
                     **_around(tensors, rows, sizes), query_bias="query.bias" in tensors, **said)
        for name, shape in made.parameters.items():
            if name not in tensors:
                raise Error(f"the layer ({kind}) lacks {name}")
            _shape(tensors, name, shape, {})
        return made
    if kind == "meta-memory":
        return _meta(tensors, sizes, said)
    _shape(tensors, "keys", ["H", "n", 2, "d"], sizes)
    rows = 2 * sizes["H"] * sizes["d"]
    _shape(tensors, QUERIES[kind] + ".weight", [rows, "D"], sizes)
    if bias := (QUERIES[kind] + ".bias" in tensors):
        _shape(tensors, QUERIES[kind] + ".bias", [rows], sizes)
    (names,) = TABLES[kind].values()
    table = tensors[names[0]].shape
    if sizes["H"] > 1 and table[:1] == (sizes["n"]**2 * sizes["H"],):
        raise Error("the layer has separate_embed_per_head, for which layers have no pools")
    for name in names:
        _shape(tensors, name, [sizes["n"]**2, "D"], sizes)
    norms = {"norm.gamma": "D"} if kind == "lucidrains-peer" else {"norm.weight": "d", "norm.bias": "d"}
    for name, letter in norms.items():
        if name in tensors:
            _shape(tensors, name, [letter], sizes)
    made = {"query_norm": "layer", "rows": "v"} if kind == "lucidrains-pkm" else {"pre_norm": "rms" if "norm.gamma" in tensors else None}
    return Layer(sizes["D"], sizes["n"]**2, sizes["H"], key_dim=sizes["d"], norm_epsilon=1e-24 if kind == "lucidrains-peer" else 1e-5, query_bias=bias,
                 **made, **said)


def _around(tensors, rows, sizes):
    """What is done with values, as a layer's options; beside rows of other kinds linear layers are idle."""
    projection = "swilu" if "swilu_projection.weight" in tensors else "linear" if "value_proj.weight" in tensors else None
    return {"value_proj": projection if rows == "v" else None, "value_dim": sizes["V"] if rows == "v" else None, "gated": "gating.weight" in tensors}


def _meta(tensors, sizes, said):
    """The layer of Meta's tensors."""
    rows = next((rows for rows, names in TABLES["meta-memory"].items() if all(name in tensors for name in names)), None)
    if rows is None:
        raise Error("the layer (meta-memory) has no values: layers that share them (mem_share_values) have them in the first alone")
    queries, bias = QUERIES["meta-memory"] + ".weight", QUERIES["meta-memory"] + ".bias"
    _shape(tensors, queries, ["W", "D"], sizes)
    _shape(tensors, "keys", ["R", "d"], sizes)
    heads = sizes["W"] // max(2 * sizes["d"], 1)
    n = sizes["R"] // max(2 * heads, 1)
    if heads * 2 * sizes["d"] != sizes["W"] or 2 * heads * n != sizes["R"]:
        raise Error(f"keys has the shape [{sizes['R']}, {sizes['d']}], which is not 2 * heads * n rows for the {sizes['W']} of {queries}")
    for name in TABLES["meta-memory"][rows]:
        _shape(tensors, name, [n**2, "V" if rows == "v" else "D"], sizes)
    made = Layer(sizes["D"], n**2, heads, key_dim=sizes["d"], rows=rows, query_bias=bias in tensors, **_around(tensors, rows, sizes), **said)
    if made.query_bias:
        _shape(tensors, bias, ["W"], sizes)
    for name, shape in made.parameters.items():
        if name in LINEARS:
            if name not in tensors:
                raise Error(f"the layer (meta-memory) lacks {name}")
            _shape(tensors, name, shape, {})
    return made


def original_kind(layer, kind=None):
    """The kind of layer that ours can have the names of: the one given, or the one that has its parts."""
    given = kind is not None
    if not given:
        kind = "meta-memory" if layer.value_proj or layer.gated else "lucidrains-peer" if layer.rows != "v" else "lucidrains-pkm" if layer.query_norm else "meta-memory"
    fault = (f"rows of {ROWS[layer.rows]} vector{'s' * (layer.rows != 'v')}" if layer.rows not in TABLES[kind] else "shared keys" if layer.shared_keys
             else "no norm of queries" if kind == "lucidrains-pkm" and not layer.query_norm
             else "a norm of queries" if kind != "lucidrains-pkm" and layer.query_norm
             else "a norm of its input" if kind != "lucidrains-peer" and layer.pre_norm
             else "a projection of its values" if kind != "meta-memory" and layer.value_proj
             else "a gate of its output" if kind != "meta-memory" and layer.gated else None)
    if fault:
        raise Error(f"a layer with {fault} is none of " + (f"the kind {kind}" if given else "lucidrains' PEER or PKM, nor Meta's HashingMemory"))
    return kind


def _queries(weight, layer, kind, back):
    """Linear's rows [2*H*d, ...], which lucidrains orders (half, head, component) and Meta (head, half, component), to [..., H*2*d], ordered as
    Meta's; or back."""
    width, heads, size = 2 * layer.heads * layer.key_dim, layer.heads, layer.key_dim
    given, dim = weight.floats(), weight.count // width
    made = array.array("f", bytes(4 * len(given)))
    for row in range(width):
        half, head, component = row // (heads * size), row // size % heads, row % size
        column = row if kind == "meta-memory" else (head * 2 + half) * size + component
        if back:
            made[row * dim:(row + 1) * dim] = given[column::width]
        else:
            made[column::width] = given[row * dim:(row + 1) * dim]
    yield made


def _keys(keys, layer, back):
    """[H, n, 2, d] to [H, 2, n, d]; or back."""
    given, size = keys.floats(), layer.key_dim
    inner, outer = (2, layer.keys) if not back else (layer.keys, 2)
    for head in range(layer.heads):
        for first in range(inner):
            for second in range(outer):
                at = ((head * outer + second) * inner + first) * size
                yield given[at:at + size]


def _stacked(tables, layer):
    """Tables [N, D], row by row: [N, F, D]."""
    dim = layer.width
    step = max(PIECE // (4 * dim), 1)
    for first in range(0, layer.num_experts, step):
        count = min(step, layer.num_experts - first)
        parts = [table.floats(first * dim, count * dim) for table in tables]
        if len(parts) == 1:
            yield parts[0]
            continue
        yield b"".join(part[row * dim:(row + 1) * dim].tobytes() for row in range(count) for part in parts)


def _unstacked(experts, layer, place):
    """One vector of each row: [N, D]."""
    count, dim = ROWS[layer.rows], layer.width
    step = max(PIECE // (4 * dim * count), 1)
    for first in range(0, layer.num_experts, step):
        rows = min(step, layer.num_experts - first)
        given = experts.floats(first * count * dim, rows * count * dim)
        yield b"".join(given[(row * count + place) * dim:(row * count + place + 1) * dim].tobytes() for row in range(rows))


def _shifted(scale, by):
    yield array.array("f", [value + by for value in scale.floats()])


def _same(tensor):
    step = PIECE // 4
    for first in range(0, tensor.count, step):
        yield tensor.floats(first, min(step, tensor.count - first))


def ours(kind, tensors, layer):
    """(name, "F32", shape, pieces) of the layer's parameters, made of a kind's tensors."""
    made = {}
    if kind == "peer":
        made = {name: _same(tensors[name]) for name in layer.parameters}
    else:
        made = {f"query.{name}": _queries(tensors[f"{QUERIES[kind]}.{name}"], layer, kind, False) for name in ("weight", "bias")[:1 + layer.query_bias]}
        made["keys"] = _same(tensors["keys"]) if kind == "meta-memory" else _keys(tensors["keys"], layer, False)
        made["experts"] = _stacked([tensors[name] for name in TABLES[kind][layer.rows]], layer)
        made.update({name: _same(tensors[name]) for name in LINEARS if name in layer.parameters})
        if layer.pre_norm:
            made["norm.weight"] = _shifted(tensors["norm.gamma"], 1)
        if layer.query_norm:
            made.update({f"query_norm.{name}": _same(tensors[f"norm.{name}"]) for name in ("weight", "bias")})
    return [(name, "F32", shape, made[name]) for name, shape in layer.parameters.items()]


def theirs(tensors, layer, kind=None):
    """(name, "F32", shape, pieces) that a layer of another package has, made of ours; `kind` where it is not to be told by the layer's parts."""
    idle = [name for name in LINEARS if name in tensors and name not in layer.parameters]
    kind = original_kind(layer, "meta-memory" if idle and kind is None else kind)
    width, meta, made = 2 * layer.heads * layer.key_dim, kind == "meta-memory", []
    for name, shape in (("weight", (width, layer.dim)), ("bias", (width,)))[:1 + layer.query_bias]:
        made.append((f"{QUERIES[kind]}.{name}", "F32", shape, _queries(tensors[f"query.{name}"], layer, kind, True)))
    made.append(("keys", "F32", (2 * layer.heads * layer.keys, layer.key_dim) if meta else (layer.heads, layer.keys, 2, layer.key_dim),
                 _same(tensors["keys"]) if meta else _keys(tensors["keys"], layer, True)))
    made += [(name, "F32", (layer.num_experts, layer.width), _unstacked(tensors["experts"], layer, place))
             for place, name in enumerate(TABLES[kind][layer.rows])]
    if layer.pre_norm:
        made.append(("norm.gamma", "F32", (layer.dim,), _shifted(tensors["norm.weight"], -1)))
    if layer.query_norm:
        made += [(f"norm.{name}", "F32", (layer.key_dim,), _same(tensors[f"query_norm.{name}"])) for name in ("weight", "bias")]
    return made + [(name, "F32", tensors[name].shape, _same(tensors[name])) for name in LINEARS if name in tensors]
