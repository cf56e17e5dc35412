"""Elementwise ops, products and reductions of torch in the words of descriptions."""
import math

import torch

from .values import Act, Const, Node, Static, Unknown, constant, number, reshape

# Of torch to what is elementwise in descriptions.
UNARY = {"neg": "arith.negf", "exp": "math.exp", "log": "math.log", "log1p": "math.log1p", "sqrt": "math.sqrt", "rsqrt": "math.rsqrt", "sin": "math.sin",
         "cos": "math.cos", "erf": "math.erf", "abs": "math.absf", "tanh": "math.tanh"}
BINARY = {"add": "arith.addf", "sub": "arith.subf", "mul": "arith.mulf", "div": "arith.divf", "maximum": "arith.maximumf", "minimum": "arith.minimumf"}
ACTIVATIONS = ("relu", "silu", "sigmoid")


def scalar_of(value):
    """The number that a value is, or None."""
    if isinstance(value, Const) and value.tensor.numel() == 1 and not value.tensor.is_complex():
        return float(value.tensor)
    return float(value) if isinstance(value, (int, float)) else None


def unary(op, value):
    if isinstance(value, Static):
        return Static(Node(f"{op} {{0}} : {{t}}", [value.whole()], value.shape))
    return value.made(Node(f"{op} {{0}} : {{t}}", [value.node], value.node.shape))


def activation(kind, value):
    node, back = value.flat()
    return back(Node(f"peer.activation {{0}} {kind} : {{t0}}", [node], node.shape))


def with_number(op, value, given, reverse=False):
    """op(value, given), or op(given, value)."""
    node = value.whole() if isinstance(value, Static) else value.node
    if node.shape[0] == "?":
        filled = Node("peer.broadcast {0} like {1} along " + str(list(range(len(node.shape)))) + " : {t0}, {t1}", [constant(torch.tensor(given)), node], node.shape)
    else:
        filled = constant(torch.full(node.shape, given))
    operands = [filled, node] if reverse else [node, filled]
    made = Node(f"{op} {{0}}, {{1}} : {{t}}", operands, node.shape)
    return Static(made) if isinstance(value, Static) else value.made(made)


def _aligned(one, other):
    """Two values' compact forms with as many dimensions."""
    one, other = one.compact(), other.compact()
    rank = max(len(one.dims), len(other.dims))
    return [each.made(each.node, [()] * (rank - len(each.dims)) + list(each.dims)) for each in (one, other)]


def _stretched(value, like, dims):
    """A value in the shape of another, whose dimensions `dims` are."""
    if value.node.shape == like.node.shape:
        return value.node
    missing = [1 + like.dims[dim][0] for dim in range(len(dims)) if like.dims[dim] and isinstance(like.dims[dim][0], int) and
               not (value.dims[dim] and isinstance(value.dims[dim][0], int))]
    return Node(f"peer.broadcast {{0}} like {{1}} along {missing} : {{t0}}, {{t1}}", [value.node, like.node], like.node.shape)


def binary(op, one, other):
    """Of two values with tokens."""
    one, other = _aligned(one, other)
    dims = []
    for dim, (first, second) in enumerate(zip(one.dims, other.dims)):
        if one.width(dim) != other.width(dim) and 1 not in (one.width(dim), other.width(dim)):
            raise Unknown(f"operands of the shapes {one.shape} and {other.shape}")
        both = {first, second} - {()}
        tokens = [each for each in both if isinstance(each[0], str)]
        if tokens and len(both) > 1:
            raise Unknown("tokens beside features, or those of different kinds")
        dims.append(max(first, second, key=len))
    # Which has all the features that the other has: it is what the other is stretched to.
    features = [sum(isinstance(atom, int) for dim in each.dims for atom in dim) for each in (one, other)]
    wide = one if features[0] >= features[1] else other
    if wide.shape != [max(each) for each in zip(one.shape, other.shape)] and any(
            dim and isinstance(dim[0], int) and not each for dim, each in zip((other if wide is one else one).dims, wide.dims)):
        raise Unknown(f"operands of the shapes {one.shape} and {other.shape}, of which neither has all features")
    dims = [each or dim for each, dim in zip(wide.dims, dims)]
    operands = [each.node if each is wide else _stretched(each, wide, dims) for each in (one, other)]
    return wide.made(Node(f"{op} {{0}}, {{1}} : {{t}}", operands, wide.node.shape), dims)


def with_static(op, value, given, reverse=False):
    """Of a value with tokens and one without; their last dimensions are the same ones."""
    made, shape = value.compact(), given.shape
    if len(shape) > len(made.dims):
        shape = shape[len(shape) - len(made.dims):] if all(size == 1 for size in shape[:len(shape) - len(made.dims)]) else None
    if shape is None:
        raise Unknown(f"operands of the shapes {value.shape} and {list(given.shape)}")
    dims, kept, along = made.dims[len(made.dims) - len(shape):], [], [0, *range(1, len(made.node.shape))]
    for dim, size in zip(dims, shape):
        if size == 1:
            continue
        if not dim or isinstance(dim[0], str) or made.node.shape[1 + dim[0]] != size:
            raise Unknown(f"operands of the shapes {value.shape} and {list(given.shape)}")
        kept.append(size)
        along.remove(1 + dim[0])
    node = given.whole()
    if tuple(kept) != tuple(node.shape):
        if not kept:
            raise Unknown("a parameter of one number")
        node = reshape(node, kept)
    wide = Node(f"peer.broadcast {{0}} like {{1}} along {along} : {{t0}}, {{t1}}", [node, made.node], made.node.shape)
    operands = [wide, made.node] if reverse else [made.node, wide]
    return made.made(Node(f"{op} {{0}}, {{1}} : {{t}}", operands, made.node.shape))


def linear(value, weight, bias=None):
    """x . weight^T + bias, weight as torch's linear layers have it: out x in."""
    if not isinstance(weight, Static) or not isinstance(bias, (Static, type(None))) or len(weight.shape) != 2:
        raise Unknown("a product with a weight that is no parameter")
    node, back = value.rows()
    operands, types, spelled = [node, weight.node], "{t0}, {t1}", "{0}, {1}"
    if bias is not None:
        operands, types, spelled = [*operands, bias.node], types + ", {t2}", spelled + ", {2}"
    if weight.shape[1] != node.shape[1] or (bias is not None and bias.shape != weight.shape[:1]):
        raise Unknown(f"a product of the shapes {value.shape} and {list(weight.shape)}")
    turned = "" if weight.transposed else " {{transpose_weight}}"
    return back(Node(f"peer.linear {spelled}{turned} : {types}", operands, ["?", weight.shape[0]]))


def normed(op, value, parameters, epsilon):
    node, back = value.rows()
    names = "".join(f", {{{index}}}" for index in range(1, 1 + len(parameters)))
    types = "".join(f", {{t{index}}}" for index in range(1, 1 + len(parameters)))
    return back(Node(f"{op} {{0}}{names} {{{{epsilon = {number(epsilon)} : f32}}}} : {{t0}}{types}", [node, *parameters], node.shape))


def reduced(kind, value, dims, keep):
    rank = len(value.dims)
    dims = sorted(dim % rank for dim in ([dims] if isinstance(dims, int) else dims or range(rank)))
    if any(value.is_tokens(dim) for dim in dims):
        raise Unknown("a reduction over tokens")
    made = value.compact()
    gone = [made.dims[dim][0] for dim in dims if made.dims[dim]]
    node, left = made.node, [size for index, size in enumerate(made.node.shape[1:]) if index not in gone]
    if gone:
        node = Node(f"peer.reduce {kind} {{0}} along {[1 + each for each in gone]} : {{t0}}", [node], ["?", *left])
    moved = {old: new for new, old in enumerate(index for index in range(len(made.node.shape) - 1) if index not in gone)}
    found = [() if dim in dims else tuple(moved.get(atom, atom) for atom in atoms) for dim, atoms in enumerate(made.dims)]
    return made.made(node, [each for dim, each in enumerate(found) if keep or dim not in dims])


def part(value, dim, start, count):
    """`count` from `start` of a dimension of features."""
    dim %= len(value.dims)
    if count == value.width(dim) and start == 0:
        return value
    if value.is_tokens(dim):
        raise Unknown("some of the tokens")
    made = value.compact()
    index = made.dims[dim][0]
    shape = list(made.node.shape)
    shape[1 + index] = count
    # A size of 1 stays a feature here.
    return made.made(Node(f"peer.slice {{0}} along {1 + index} from {start} size {count} : {{t0}}", [made.node], shape), tag=("part", value, dim, start, count))


def joined(values, dim):
    """One after the other along a dimension of features."""
    rank = len(values[0].dims)
    dim %= rank
    if any(value.is_tokens(dim) for value in values):
        raise Unknown("tokens put after others")
    sizes, nodes = [value.width(dim) for value in values], []
    made = [value.compact() for value in values]
    # Of the place among features that have more than one element.
    before = sum(bool(atoms and isinstance(atoms[0], int)) for atoms in max(made, key=lambda each: len(each.node.shape)).dims[:dim])
    outer = [[size for place, size in enumerate(each.node.shape[1:]) if not (each.dims[dim] and place == each.dims[dim][0])] for each in made]
    if any(each != outer[0] for each in outer):
        raise Unknown("parts of different shapes")
    for each, size in zip(made, sizes):
        nodes.append(reshape(each.node, ["?", *outer[0][:before], size, *outer[0][before:]]))
    shape = ["?", *outer[0][:before], sum(sizes), *outer[0][before:]]
    names = ", ".join(f"{{{index}}}" for index in range(len(nodes)))
    types = ", ".join(f"{{t{index}}}" for index in range(len(nodes)))
    dims, place = [], 0
    for index, atoms in enumerate(made[0].dims):
        if index == dim or (atoms and isinstance(atoms[0], int)):
            dims.append((place,))
            place += 1
        else:
            dims.append(next((each.dims[index] for each in made if each.dims[index]), ()))
    return made[0].made(Node(f"peer.concat {names} along {1 + before} : {types}", nodes, shape), dims)


def power(value, exponent):
    if exponent in (2, 3):
        square = binary("arith.mulf", value, value)
        square.tag = ("square", value)
        return square if exponent == 2 else binary("arith.mulf", square, value)
    if exponent in (0.5, -0.5):
        return unary("math.sqrt" if exponent > 0 else "math.rsqrt", value)
    if exponent == -1:
        return with_number("arith.divf", value, 1.0, reverse=True)
    raise Unknown(f"the power {exponent}; 2, 3, 0.5, -0.5 and -1 are known")


def gelu_by_tanh(value):
    """0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))."""
    inner = binary("arith.addf", value, with_number("arith.mulf", power(value, 3), 0.044715))
    bent = with_number("arith.addf", unary("math.tanh", with_number("arith.mulf", inner, math.sqrt(2 / math.pi))), 1.0)
    return binary("arith.mulf", with_number("arith.mulf", value, 0.5), bent)
