"""Attention and rotary positions, told by what ops of torch they are made of."""
import math

import torch

from .values import Act, Node, Repeated, Unknown, number, reshape
from .words import joined, part, with_number

# What masks add to a score that does not count, and more.
_NEVER = -1e4


def _angles(context, half, base):
    return torch.arange(context, dtype=torch.float32)[:, None] * (base ** (-torch.arange(half, dtype=torch.float32) / half))[None]


def _base(cos, sin):
    """The base of rotary positions with these tables `context x half`, negative where they turn backwards; None where there is none."""
    context, half = cos.shape
    if context < 2 or not bool((cos[0] == 1).all()):
        return None
    turns = torch.atan2(sin[1], cos[1])
    sign = -1.0 if float(turns[0]) < 0 else 1.0
    base = 10000.0 if half == 1 else float(turns[1].abs().double()) ** -float(half)
    # What was meant, where powers were computed in f32.
    base = round(base) if abs(base - round(base)) < 1e-3 * base else base
    if not 1 <= base < 1e30:
        return None
    wanted = _angles(context, half, float(base))
    near = all(float((table - other).abs().max()) < 2e-3 for table, other in ((cos, wanted.cos()), (sin, sign * wanted.sin())))
    return sign * base if near else None


def _turned(value, base, context):
    """A value turned by its position, its last dimension being a head's width."""
    order = [dim for dim in range(len(value.dims)) if value.is_tokens(dim)] + [dim for dim in range(len(value.dims)) if not value.is_tokens(dim)]
    given, half = value.permuted(order), value.width(-1) // 2
    # Decoding turns forwards alone; backwards is forwards with the halves changed over.
    node, back = (_changed(given, half) if base < 0 else given).flat()
    heads = node.shape[1] // value.width(-1)
    more = f" {{{{base = {number(abs(base))} : f32}}}}" if abs(base) != 10000 else ""
    made = back(Node(f"peer.rotary {{0}} heads {heads} context {context}{more} : {{t0}}", [node], node.shape))
    return (_changed(made, half) if base < 0 else made).permuted([order.index(dim) for dim in range(len(order))])


def _changed(value, half):
    return joined([part(value, -1, half, half), part(value, -1, 0, half)], -1)


def _tables(terms):
    """Of (value, table) pairs."""
    return [each.tag[1:] if isinstance(each, Act) and each.tag and each.tag[0] == "by_position" else None for each in terms]


def rotary_of_sum(one, other, context):
    """x * cos + rotated(x) * sin, with rotated(x) = cat(-x[half:], x[:half]); None where it is not that."""
    found = _tables((one, other))
    if None in found:
        return None
    for (x, cos), (turned, sin) in (found, found[::-1]):
        if turned.tag and turned.tag[0] == "rotated" and turned.tag[1] is x and x.width(-1) % 2 == 0:
            half = x.width(-1) // 2
            if all(table.shape == (context, 2 * half) and torch.equal(table[:, :half], table[:, half:]) for table in (cos, sin)):
                base = _base(cos[:, :half], sin[:, :half])
                return _turned(x, base, context) if base is not None else None
    return None


def tag_of_sum(one, other):
    """A sum of parts of one value, each times a table."""
    found = _tables((one, other))
    if None in found or any(not x.tag or x.tag[0] != "part" for x, _ in found):
        return None
    return ("sum", *found)


def _matrix(values):
    """(source, tables) of two sums of parts of one value: how much of either part is in either; None where they are something else."""
    found = {}
    for row, value in enumerate(values):
        for x, table in value.tag[1:] if value.tag and value.tag[0] == "sum" else ():
            _, source, along, start, count = x.tag
            if along != len(source.dims) - 1 or 2 * count != source.width(-1) or start not in (0, count):
                return None
            found[row, start // count] = (source, table)
    if len(found) != 4 or len({id(source) for source, _ in found.values()}) != 1:
        return None
    (x, cos), (_, minus), (_, sin), (_, same) = (found[each] for each in ((0, 0), (0, 1), (1, 0), (1, 1)))
    return (x, cos, sin) if torch.equal(cos, same) and torch.equal(minus, -sin) else None


def rotary_of_parts(values, dim, context):
    """cat(a * cos - b * sin, a * sin + b * cos), a and b the halves of a value."""
    found = _matrix(values) if len(values) == 2 and dim % len(values[0].dims) == len(values[0].dims) - 1 else None
    if found is None or found[1].shape != (context, found[0].width(-1) // 2):
        return None
    x, cos, sin = found
    base = _base(cos, sin)
    return _turned(x, base, context) if base is not None else None


def rotary_of_neighbours(values, dim, context):
    """stack(a * cos - b * sin, a * sin + b * cos) along the last dimension, a and b every other element of a value."""
    found = _matrix(values) if len(values) == 2 and dim % (len(values[0].dims) + 1) == len(values[0].dims) else None
    if found is None or found[0].width(-1) != 2 or found[1].shape != (context, found[0].width(-2)):
        return None
    x, cos, sin = found
    base, rank = _base(cos, sin), len(x.dims)
    if base is None:
        return None
    order = [*range(rank - 2), rank - 1, rank - 2]
    apart = x.permuted(order)
    turned = _turned(apart.viewed([*apart.shape[:-2], -1]), base, context)
    return turned.viewed(apart.shape).permuted(order)


def rotated(values, dim):
    """The tag of cat(-x[half:], x[:half]) along the last dimension."""
    if len(values) == 2 and dim % len(values[0].dims) == len(values[0].dims) - 1:
        first, second = values[0].tag, values[1].tag
        if first and second and first[0] == "neg" and first[1].tag and first[1].tag[0] == second[0] == "part":
            _, source, along, start, count = first[1].tag
            if second[1] is source and along == second[2] == len(source.dims) - 1 and (start, second[3], 2 * count) == (count, 0, source.width(-1)):
                return ("rotated", source)
    return None


class Scores:
    """Products of queries and keys, or the softmax of them."""

    def __init__(self, query, key, scale=1.0, masked=False, normed=False, window=None):
        self.query, self.key, self.scale, self.masked, self.normed, self.window = query, key, scale, masked, normed, window

    def scaled(self, factor):
        if self.masked or self.normed:
            raise Unknown("scores that are scaled after their mask")
        return Scores(self.query, self.key, self.scale * factor)

    def softmax(self):
        if not self.masked or self.normed:
            raise Unknown("a softmax of scores without a causal mask; attention is causal in descriptions")
        return Scores(self.query, self.key, self.scale, True, True, self.window)

    def hidden(self, allowed, context):
        """Under a mask of what counts."""
        if self.masked:
            raise Unknown("a second mask of scores")
        return Scores(self.query, self.key, self.scale, True, window=window_of(allowed, context))


def allowed_by(mask):
    """What a mask lets through: a boolean one what is true, another what it adds nothing to."""
    if mask.dtype == torch.bool:
        return mask
    if not bool(((mask == 0) | (mask <= _NEVER)).all()):
        raise Unknown("a mask that adds other numbers than 0 and -inf to scores")
    return mask == 0


def window_of(allowed, context):
    """How many tokens a causal mask shows to each; None: all before it."""
    causal = torch.ones(context, context, dtype=torch.bool).tril()
    if allowed.shape[-2:] == causal.shape:
        last = int(allowed.reshape(-1, context)[context - 1].sum())
        if bool((allowed == causal).all()):
            return None
        if last > 0 and bool((allowed == causal.triu(1 - last)).all()):
            return last
    raise Unknown("a mask that is not causal over all tokens of a sequence, or over a window of the last ones")


def _heads(value, name):
    """`T x (heads * width)` of `[..., heads, T, width]`, how many heads, and their width. Heads that are repeated for groups of queries are taken once."""
    *outer, tokens, last = value.dims
    if tokens != ("T",) or any(isinstance(atom, str) for atom in last):
        raise Unknown(f"{name} of the shape {value.shape}; expected [sequences, heads, tokens, width], all tokens of each")
    heads = [atom for dim in outer for atom in dim if not isinstance(atom, str)]
    names = tuple(atom for dim in outer for atom in dim if isinstance(atom, str))
    if heads and isinstance(heads[-1], Repeated):
        heads.pop()
    made = Act(value.sizes, value.node, [names, tokens, heads, last]).compact()
    count = math.prod(value.size(atom) for atom in heads)
    return reshape(made.node, ["?", count * value.width(-1)]), count, value.width(-1)


def attention(query, key, value, scale, context, window):
    nodes, sizes = [], []
    for each, name in ((query, "queries"), (key, "keys"), (value, "values")):
        node, heads, width = _heads(each, name)
        nodes.append(node)
        sizes.append((heads, width))
    heads, width = sizes[0]
    if sizes[1] != sizes[2] or sizes[1][1] != width or heads % sizes[1][0]:
        raise Unknown("queries, keys and values with " + ", ".join(f"{heads} heads of width {width}" for heads, width in sizes) +
                      "; expected one width, and as many heads of keys as of values, which divide those of queries")
    if scale is not None and abs(scale * math.sqrt(width) - 1) > 1e-6:
        # Attention scales by 1 / sqrt(width).
        nodes[0] = with_number("arith.mulf", Act(query.sizes, nodes[0], [("B", "T"), (0,)]), scale * math.sqrt(width)).node
    made = Node(f"peer.attention {{0}}, {{1}}, {{2}} heads {heads} context {context}{f' window {window}' if window else ''} : {{t0}}, {{t1}}, {{t2}}", nodes, nodes[0].shape)
    node = reshape(made, ["?", heads, width])
    dims, taken = [], False
    for dim in query.dims[:-2]:
        names = tuple(atom for atom in dim if isinstance(atom, str))
        features = len(names) < len(dim)
        if features and taken:
            raise Unknown("heads in two dimensions")
        dims.append((*names, 0) if features else names)
        taken = taken or features
    if not taken:
        return Act(query.sizes, made, [*dims, ("T",), (0,)])
    return Act(query.sizes, node, [*dims, ("T",), (1,)])
