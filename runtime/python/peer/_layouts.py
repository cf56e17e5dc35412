"""Layers of other packages in files: their names and shapes, and their tensors in our order and back. Works without torch."""
import array
import math

from ._descriptions import ROWS, Layer
from ._library import Error
from ._safetensors import PIECE

# The vectors of a row, by kind, in our order.
TABLES = {"lucidrains-peer": ("weight_down_embed.weight", "weight_up_embed.weight"), "lucidrains-pkm": ("values.weight",)}
QUERIES = {"lucidrains-peer": "to_queries.0.weight", "lucidrains-pkm": "to_queries.weight"}
# Names under a layer's prefix: those it must have, and those it may.
NAMES = {"lucidrains-peer": ((*TABLES["lucidrains-peer"], "keys", QUERIES["lucidrains-peer"]), ("norm.gamma",)),
         "lucidrains-pkm": ((*TABLES["lucidrains-pkm"], "keys", QUERIES["lucidrains-pkm"], "norm.weight", "norm.bias"), ()),
         "peer": (("experts", "keys", "query.weight"), ("norm.weight", "query_norm.weight", "query_norm.bias"))}
# What a file does not say: the packages' defaults.
DEFAULTS = {"lucidrains-peer": {"experts_per_head": 1, "gate": "relu", "activation": "gelu"},
            "lucidrains-pkm": {"experts_per_head": 32, "gate": "softmax"},
            "peer": {"experts_per_head": 16, "gate": "softmax", "activation": "gelu", "norm_epsilon": 1e-5}}
# What wrappers put before names.
WRAPPERS = ("module.", "model.", "_orig_mod.")
# Names of variants that layers cannot be.
_REFUSED = {"maybe_concat_combine.2.weight": "has concat_values_and_combine, which mixes heads in a way that layers cannot",
            "norm.fn.weight": "has a batch norm, whose statistics layers do not keep",
            "pre_layernorm.weight": "has pre_layernorm: put the layer norm before it",
            "output_norm.weight": "has norm_output: put the layer norm behind it"}


def find(names):
    """(prefix, kind) of all layers whose names are there, in the files' order; one that lacks a name is found, too."""
    found = {}
    for kind, (required, _) in NAMES.items():
        for name in names:
            for ending in required:
                if name == ending or name.endswith("." + ending):
                    found.setdefault((name[:len(name) - len(ending)], kind), set()).add(ending)
    best = {}
    for (prefix, kind), endings in found.items():
        # `keys` is a name of all three, and others have it too.
        if len(endings - {"keys", "norm.weight", "norm.bias"}) >= (1 if kind == "lucidrains-pkm" and "keys" in endings else 2):
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
        _shape(tensors, "experts", ["N", "F", "D"], sizes)
        if heads not in (1, width // (2 * sizes["d"])) or width % (2 * sizes["d"]):
            raise Error(f"query.weight has the shape [{dim}, {width}], expected [{dim}, {heads * 2 * sizes['d']}]")
        rows = next((letters for letters, count in ROWS.items() if count == sizes["F"]), None)
        if rows is None:
            raise Error(f"experts has rows of {sizes['F']} vectors, expected 1, 2 or 3")
        made = Layer(dim, sizes["N"], width // (2 * sizes["d"]), key_dim=sizes["d"], rows=rows, shared_keys=heads == 1 < width // (2 * sizes["d"]),
                     query_norm="layer" if "query_norm.weight" in tensors else None, pre_norm="rms" if "norm.weight" in tensors else None, **said)
        for name, shape in made.parameters.items():
            if name not in tensors:
                raise Error(f"the layer ({kind}) lacks {name}")
            _shape(tensors, name, shape, {})
        return made
    _shape(tensors, "keys", ["H", "n", 2, "d"], sizes)
    rows = 2 * sizes["H"] * sizes["d"]
    _shape(tensors, QUERIES[kind], [rows, "D"], sizes)
    table = tensors[TABLES[kind][0]].shape
    if sizes["H"] > 1 and table[:1] == (sizes["n"]**2 * sizes["H"],):
        raise Error("the layer has separate_embed_per_head, for which layers have no pools")
    for name in TABLES[kind]:
        _shape(tensors, name, [sizes["n"]**2, "D"], sizes)
    norms = {"norm.gamma": "D"} if kind == "lucidrains-peer" else {"norm.weight": "d", "norm.bias": "d"}
    for name, letter in norms.items():
        if name in tensors:
            _shape(tensors, name, [letter], sizes)
    made = {"query_norm": "layer", "rows": "v"} if kind == "lucidrains-pkm" else {"pre_norm": "rms" if "norm.gamma" in tensors else None}
    return Layer(sizes["D"], sizes["n"]**2, sizes["H"], key_dim=sizes["d"], norm_epsilon=1e-24 if kind == "lucidrains-peer" else 1e-5, **made, **said)


def _queries(weight, layer, back):
    """Linear's [2*H*d, D], rows ordered (half, head, component), to [D, H*2*d], columns ordered (head, half, component); or back."""
    width, heads, size, dim = 2 * layer.heads * layer.key_dim, layer.heads, layer.key_dim, layer.dim
    given = weight.floats()
    made = array.array("f", bytes(4 * len(given)))
    for row in range(width):
        half, head, component = row // (heads * size), row // size % heads, row % size
        column = (head * 2 + half) * size + component
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
    step = max(PIECE // (4 * layer.dim), 1)
    for first in range(0, layer.num_experts, step):
        count = min(step, layer.num_experts - first)
        parts = [table.floats(first * layer.dim, count * layer.dim) for table in tables]
        if len(parts) == 1:
            yield parts[0]
            continue
        yield b"".join(part[row * layer.dim:(row + 1) * layer.dim].tobytes() for row in range(count) for part in parts)


def _unstacked(experts, layer, place):
    """One vector of each row: [N, D]."""
    count, dim = ROWS[layer.rows], layer.dim
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
        made = {"query.weight": _queries(tensors[QUERIES[kind]], layer, False), "keys": _keys(tensors["keys"], layer, False),
                "experts": _stacked([tensors[name] for name in TABLES[kind]], layer)}
        if layer.pre_norm:
            made["norm.weight"] = _shifted(tensors["norm.gamma"], 1)
        if layer.query_norm:
            made.update({f"query_norm.{name}": _same(tensors[f"norm.{name}"]) for name in ("weight", "bias")})
    return [(name, "F32", shape, made[name]) for name, shape in layer.parameters.items()]


def theirs(tensors, layer):
    """(name, "F32", shape, pieces) that lucidrains' PEER (row "uv") or PKM (row "v") has, made of ours."""
    kind = {"uv": "lucidrains-peer", "v": "lucidrains-pkm"}.get(layer.rows)
    fault = (f"rows of {ROWS[layer.rows]} vectors" if kind is None else "shared keys" if layer.shared_keys
             else "no norm of queries" if kind == "lucidrains-pkm" and not layer.query_norm
             else "a norm of queries" if kind == "lucidrains-peer" and layer.query_norm
             else "a norm of its input" if kind == "lucidrains-pkm" and layer.pre_norm else None)
    if fault:
        raise Error(f"a layer with {fault} is none of lucidrains' PEER or PKM")
    dim, made = layer.dim, []
    made.append((QUERIES[kind], "F32", (2 * layer.heads * layer.key_dim, dim), _queries(tensors["query.weight"], layer, True)))
    made.append(("keys", "F32", (layer.heads, layer.keys, 2, layer.key_dim), _keys(tensors["keys"], layer, True)))
    made += [(name, "F32", (layer.num_experts, dim), _unstacked(tensors["experts"], layer, place)) for place, name in enumerate(TABLES[kind])]
    if layer.pre_norm:
        made.append(("norm.gamma", "F32", (dim,), _shifted(tensors["norm.weight"], -1)))
    if layer.query_norm:
        made += [(f"norm.{name}", "F32", (layer.key_dim,), _same(tensors[f"query_norm.{name}"])) for name in ("weight", "bias")]
    return made
