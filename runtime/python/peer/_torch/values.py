"""What a graph of torch's computes, as values of a description: nodes are its SSA values, and views of torch cost nothing until an op looks at them."""
import dataclasses
import math

import torch

from .._library import Error


class Unknown(Error):
    """What an op does that descriptions do not; the caller says which op of which module."""


class Node:
    """An SSA value: its op as text with {0}, {1} for operands, {t0}, {t1} for their types and {t} for its own. Printed where something reads it. Of an op
    with several results these are nodes of the text "#0", "#1", ... that read it."""
    __slots__ = ("text", "inputs", "shape", "dtype", "place")

    def __init__(self, text, inputs, shape, dtype="f32"):
        self.text, self.inputs, self.shape, self.dtype, self.place = text, tuple(inputs), tuple(shape), dtype, None

    @property
    def type(self):
        return f"tensor<{''.join(f'{size}x' for size in self.shape)}{self.dtype}>"


def reshape(node, shape):
    """A node in another shape; of a reshape that of what is reshaped."""
    if tuple(shape) == node.shape:
        return node
    if node.text.startswith("peer.reshape"):
        return reshape(node.inputs[0], shape)
    return Node("peer.reshape {0} to {t} : {t0}", [node], shape, node.dtype)


def number(value):
    """A float as descriptions spell it."""
    return f"{float(value):.9e}"


def constant(tensor):
    """A tensor of numbers that are known, as a node."""
    tensor = tensor.detach().to(torch.float32).contiguous()
    if not bool(tensor.isfinite().all()):
        raise Unknown("numbers that are not finite")
    flat = tensor.flatten()
    if flat.numel() and bool((flat == flat[0]).all()):
        text = number(flat[0])
    else:
        text = '"0x' + bytes(flat.view(torch.uint8).tolist()).hex().upper() + '"'
    return Node(f"arith.constant dense<{text}> : {{t}}", [], tensor.shape)


@dataclasses.dataclass(frozen=True)
class Repeated:
    """A dimension that torch's expand made of nothing."""
    size: int


class Const:
    """A tensor that depends on neither tokens nor parameters."""

    def __init__(self, tensor):
        self.tensor = tensor


class Static:
    """A parameter or what is made of parameters alone; `name` and `transposed` of a parameter as it is."""

    def __init__(self, node, name=None, transposed=False, tag=None):
        self.node, self.name, self.transposed, self.tag = node, name, transposed, tag

    @property
    def shape(self):
        return self.node.shape[::-1] if self.transposed else self.node.shape

    def whole(self):
        """As a node, whatever way it was turned."""
        return Node("peer.transpose {0} [1, 0] : {t0}", [self.node], self.shape) if self.transposed else self.node


class Act:
    """A tensor of torch's with tokens in it.

    node  the value, `T x F0 x F1 ...`, T being all tokens of all sequences
    dims  of each of torch's dimensions what it consists of: "B" (sequences), "T" (tokens of one), "L" (the last token of each, where the value has
          all), the number of a feature of the node, or Repeated
    tag   what ops that are told together know it by
    """

    def __init__(self, sizes, node, dims, tag=None):
        self.sizes, self.node, self.dims, self.tag, self.views = sizes, node, tuple(tuple(dim) for dim in dims), tag, {}

    def made(self, node, dims=None, tag=None):
        return Act(self.sizes, node, self.dims if dims is None else dims, tag)

    def size(self, atom):
        return atom.size if isinstance(atom, Repeated) else self.sizes[atom] if isinstance(atom, str) else self.node.shape[1 + atom]

    def width(self, dim):
        return math.prod(self.size(atom) for atom in self.dims[dim])

    @property
    def shape(self):
        return [self.width(dim) for dim in range(len(self.dims))]

    def permuted(self, order):
        return self.made(self.node, [self.dims[dim] for dim in order])

    def is_tokens(self, dim):
        return any(isinstance(atom, str) for atom in self.dims[dim])

    def compact(self):
        """The same with one feature of the node for each of torch's dimensions that has any, in their order, and none for those of size 1."""
        present = [atom for dim in self.dims for atom in dim if not isinstance(atom, str)]
        order = [atom for atom in present if not isinstance(atom, Repeated)]
        node = self.node
        if order != sorted(order):
            node = Node(f"peer.transpose {{0}} {[0, *(1 + each for each in order)]} : {{t0}}", [node],
                        [node.shape[0], *(node.shape[1 + each] for each in order)])
        if len(order) != len(present):
            sizes = [1 if isinstance(atom, Repeated) else self.size(atom) for atom in present]
            node = reshape(node, ["?", *sizes])
            for place, atom in enumerate(present):
                if isinstance(atom, Repeated) and atom.size > 1:
                    sizes[place] = atom.size
                    node = Node(f"peer.concat {', '.join(['{0}'] * atom.size)} along {1 + place} : {', '.join(['{t0}'] * atom.size)}", [node], ["?", *sizes])
        shape, dims = ["?"], []
        for dim, atoms in enumerate(self.dims):
            names = [atom for atom in atoms if isinstance(atom, str)]
            size = math.prod(self.size(atom) for atom in atoms if not isinstance(atom, str))
            if names and size > 1:
                raise Unknown("tokens and features in one dimension")
            if size > 1:
                dims.append((len(shape) - 1,))
                shape.append(size)
            else:
                dims.append(tuple(names))
        return self.made(reshape(node, shape), dims, self.tag)

    def flat(self):
        """`T x F`, all features after one another: the node, and what makes a value of a node like it."""
        made = self.compact()
        shape = made.node.shape
        return reshape(made.node, ["?", math.prod(shape[1:])]), lambda node: made.made(reshape(node, shape), made.dims)

    def rows(self):
        """`R x F`, F the last dimension: the node, and what makes a value of one like it, of another last dimension."""
        made = self.compact()
        if self.is_tokens(-1):
            raise Unknown("an op along the tokens")
        shape, last = made.node.shape, self.width(-1)
        # A last dimension of 1 is none of the node's.
        outer = shape[:-1] if made.dims[-1] else shape

        def back(node):
            dims = [*made.dims[:-1], (len(outer) - 1,)]
            return made.made(reshape(node, [*outer, node.shape[1]]), dims)
        return reshape(made.node, ["?", last]), back

    def viewed(self, wanted):
        """torch's view: dimensions that are cut or joined."""
        wanted, numel = list(wanted), math.prod(self.shape)
        if -1 in wanted:
            wanted[wanted.index(-1)] = numel // max(-math.prod(wanted), 1)
        if wanted == self.shape:
            return self
        if (made := self.views.get(tuple(wanted))) is None:
            made = self.views[tuple(wanted)] = self._cut(wanted)
        return made

    def _cut(self, wanted):
        node = self.node
        atoms, dims = [[atom, self.size(atom)] for dim in self.dims for atom in dim], []
        # Features as they are cut, in the node's order: [number of old, sizes].
        cuts = {index: [size] for index, size in enumerate(node.shape[1:])}
        parts = {}
        for need in wanted:
            dim, have = [], 1
            if need == 1 and atoms and atoms[0][1] == 1:
                dim.append(atoms.pop(0)[0])
            while have < need:
                if not atoms:
                    raise Unknown(f"a view of {self.shape} as {wanted}")
                atom, size = atoms[0]
                if need % (have * size) == 0:
                    dim.append(atom)
                    atoms.pop(0)
                    have *= size
                    continue
                rest = need // have
                if isinstance(atom, (str, Repeated)) or need % have or size % rest:
                    raise Unknown(f"a view of {self.shape} as {wanted}, which joins tokens or features in another way")
                root, place = parts.get(atom, (atom, 0))
                cuts[root][place:place + 1] = [rest, size // rest]
                first, second = object(), object()
                parts[first], parts[second] = (root, place), (root, place + 1)
                atoms[0] = [second, size // rest]
                dim.append(first)
                have = need
            dims.append(dim)
        if dims:
            dims[-1] += [atom for atom, _ in atoms]
        starts, shape = {}, ["?"]
        for index, sizes in cuts.items():
            starts[index] = len(shape) - 1
            shape += sizes

        def placed(atom):
            if isinstance(atom, (str, Repeated)):
                return atom
            root, place = parts.get(atom, (atom, 0))
            return starts[root] + place
        return self.made(reshape(node, shape), [[placed(atom) for atom in dim] for dim in dims])


class Tokens(Act):
    """What the model is called with."""

    def made(self, node, dims=None, tag=None):
        return Tokens(self.sizes, node, self.dims if dims is None else dims, tag)
