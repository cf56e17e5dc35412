"""A graph of torch.export read op by op, as values of a description."""
import inspect
import math
import operator

import torch

from . import ops as _ops
from .aten import Ops
from .attending import Scores, allowed_by, rotary_of_sum, tag_of_sum
from .values import Act, Const, Node, Static, Tokens, Unknown, constant, reshape
from .words import ACTIVATIONS, BINARY, UNARY, activation, binary, normed, scalar_of, unary, with_number, with_static

# What gives a value as it is.
_SAME = {"contiguous", "clone", "alias", "lift_fresh_copy", "_assert_tensor_metadata"}
# What may be done with tokens before they are embedded.
_OF_TOKENS = {"embedding", "view", "reshape", "to", "_to_copy", "slice", "squeeze", "unsqueeze", "detach", *_SAME}
# Arguments that say how and not what.
_HOW = {"cudnn_enable", "device", "layout", "pin_memory", "memory_format", "copy", "non_blocking", "dtype", "output_size", "implicit"}
# Names of what a model computes of positions.
_TABLES = "constants."


def _leaves(value):
    if isinstance(value, (list, tuple)):
        return [leaf for each in value for leaf in _leaves(each)]
    return [value]


def _plain(value):
    """Arguments with the tensors of constants in their place."""
    if isinstance(value, (list, tuple)):
        return type(value)(_plain(each) for each in value)
    return value.tensor if isinstance(value, Const) else value


def _wrapped(value):
    if isinstance(value, (list, tuple)):
        return [_wrapped(each) for each in value]
    return Const(value) if isinstance(value, torch.Tensor) else value


class Interpreter(Ops):
    """Reads graphs, of a model in training mode where `drops`. `sizes` are those of "B", sequences, "T", tokens of one, and "L"; `tables` are filled with
    what the model computes of positions."""

    def __init__(self, sizes, layers, drops=False):
        self.sizes, self.context, self.layers, self.drops, self.tables = sizes, sizes["T"], layers, drops, {}
        self.like, self._positions, self.known = None, None, {}

    def run(self, module, given, fault):
        """The graph's outputs; `fault(node, error)` makes the error of what is not known."""
        values = dict(given)
        for node in module.graph.nodes:
            if node.name in values:
                continue
            if node.op == "output":
                return self._of(node.args[0], values)
            if node.op == "get_attr":
                found = operator.attrgetter(node.target)(module)
                values[node.name] = Const(found.detach().clone()) if isinstance(found, torch.Tensor) else found
                continue
            arguments, named = self._of(node.args, values), {name: self._of(value, values) for name, value in node.kwargs.items()}
            try:
                values[node.name] = self._call(node, arguments, named, fault)
            except Unknown as error:
                raise fault(node, error) from None
            if isinstance(node.target, torch._ops.OpOverload) and node.target._schema.is_mutable and isinstance(values[node.name], (Act, Scores)):
                values[node.args[0].name] = values[node.name]
            self._mark(node, values[node.name])
        raise AssertionError("a graph without output")

    @staticmethod
    def _mark(node, made):
        """Says of nodes which module they are of."""
        stack = list((node.meta.get("nn_module_stack") or {}).values())
        for leaf in _leaves(made):
            waiting = [leaf.node] if isinstance(leaf, (Act, Static)) else []
            while waiting:
                each = waiting.pop()
                if each.place is None:
                    each.place = stack[-1][0] if stack else ""
                    waiting += each.inputs

    def _of(self, value, values):
        if isinstance(value, torch.fx.Node):
            return values[value.name]
        if isinstance(value, (list, tuple)):
            return [self._of(each, values) for each in value]
        return value

    def _call(self, node, arguments, named, fault):
        target = node.target
        if target is operator.getitem:
            return arguments[0][arguments[1]]
        if isinstance(target, torch._ops.HigherOrderOperator):
            return self._region(target, arguments, fault)
        if not isinstance(target, torch._ops.OpOverload):
            if all(isinstance(each, (int, float, bool)) for each in _leaves(arguments)):
                return target(*arguments)
            raise Unknown("no op of torch's")
        leaves = _leaves(arguments) + _leaves(list(named.values()))
        if not any(isinstance(each, (Act, Static, Tokens, Scores)) for each in leaves):
            return _wrapped(target(*_plain(arguments), **{name: _plain(value) for name, value in named.items()}))
        space, name = target._schema.name.split("::")
        if space == "peer":
            return self._layer(name, arguments)
        if name not in _OF_TOKENS and any(isinstance(each, Act) and each.node.dtype == "i32" for each in leaves):
            raise Unknown("tokens are embedded and experts chosen by whole numbers, and nothing else is done with these")
        if name.endswith("_") and isinstance(arguments[0], Act) and isinstance(node.args[0], torch.fx.Node):
            # In place: the name means what was made.
            name = name[:-1]
        handler = getattr(self, f"_op_{name}", None)
        if space != "aten" or handler is None and name not in UNARY and name not in ACTIVATIONS and name not in BINARY and name not in _SAME:
            raise Unknown("")
        if handler is None:
            if name in _SAME:
                return arguments[0]
            if name in BINARY:
                return self.binary(name, *arguments[:2], **named)
            if not isinstance(arguments[0], (Act, Static) if name in UNARY else Act):
                raise Unknown("")
            return self.unary(name, arguments[0])
        # By the names of the schema, so that what is given by position or by name is one.
        arguments = dict(zip((each.name for each in target._schema.arguments), arguments)) | named
        if "self" in arguments:
            arguments["x"] = arguments.pop("self")
        known = inspect.signature(handler).parameters
        more = {each.name: each.default_value for each in target._schema.arguments if each.has_default_value()}
        if any(each not in known and each not in _HOW and value != more.get(each) for each, value in arguments.items() if not isinstance(value, (Act, Static, Scores, Const))):
            raise Unknown("with " + ", ".join(f"{each}={value}" for each, value in arguments.items() if each not in known and each not in _HOW))
        return handler(**{each: value for each, value in (more | arguments).items() if each in known})

    def _region(self, target, arguments, fault):
        """A part of the graph under another mode of gradients, or without autocast."""
        name = target.name() if callable(getattr(target, "name", None)) else str(target)
        first = {"wrap_with_set_grad_enabled": 1, "wrap_with_autocast": 4}.get(name)
        if first is None:
            raise Unknown("")
        if name == "wrap_with_autocast" and arguments[2]:
            raise Unknown("autocast; export the model without it")
        module, *given = arguments[first:]
        # A graph's inputs come first.
        made = self.run(module, {each.name: value for each, value in zip(module.graph.nodes, given)}, fault)
        if name == "wrap_with_set_grad_enabled" and not arguments[0] and any(isinstance(each, (Act, Static)) for each in _leaves(made)):
            raise Unknown("a part without gradients")
        return made

    def _layer(self, name, arguments):
        if name not in ("infer", "forward"):
            raise Unknown("")
        x, parameters, number, routed = arguments
        if not all(isinstance(each, Act) for each in routed):
            raise Unknown("experts that are chosen by constants")
        config = _ops.layers[number].config
        made, back = x.rows()
        chosen = [reshape(each.compact().node, ["?", config.heads, config.experts_per_head]) for each in routed]
        result = back(self.layers.call([made, *chosen], config, [each.name for each in parameters]))
        return result if name == "infer" else [result]

    # Positions.

    def positions(self):
        """The position of each token in its sequence, i32."""
        if self._positions is None:
            node, _ = self.like.flat()
            self._positions = Node("peer.call \"\" @positions({0}) : ({t0}) -> {t}", [node], ["?"], "i32")
        return self._positions

    def looked_up(self, node, table_shape, dims):
        """Rows of a table by position, as a value with `dims` before the row."""
        rows = Node("peer.embedding {0}, {1} : {t0}, {t1}", [self.positions(), reshape(node, [table_shape[0], math.prod(table_shape[1:])])],
                    ["?", math.prod(table_shape[1:])])
        return Act(self.sizes, reshape(rows, ["?", *table_shape[1:]]), dims)

    def table(self, tensor):
        """What a model computes of positions, as a parameter that does not train."""
        for name, known in self.tables.items():
            if known.shape == tensor.shape and torch.equal(known, tensor):
                return self.known[name]
        name = f"{_TABLES}{len(self.tables)}"
        self.tables[name] = tensor
        self.known[name] = Node(f'peer.param "{name}" zeros buffer : {{t}}', [], tensor.shape)
        return self.known[name]

    def _tokens_of(self, shape, like):
        """Which dimension of a constant is along the tokens of a value, counted from its end; None where none is."""
        found = []
        for back in range(1, 1 + min(len(shape), len(like.dims))):
            if shape[-back] > 1 and like.is_tokens(-back):
                found.append((back, like.dims[-back]))
        if not found:
            return None, None
        batch = [back for back, atoms in found if atoms == ("B",)]
        tokens = [back for back, atoms in found if atoms == ("T",)]
        if len(batch) + len(tokens) != len(found) or len(tokens) != 1:
            raise Unknown("a constant that depends on the sequence, or on some of the tokens")
        return tokens[0], batch[0] if batch else None

    def _placed(self, given, like, name):
        """A constant or parameter along the tokens of a value, looked up by their position; None where it is not along them."""
        shape = list(given.tensor.shape) if isinstance(given, Const) else list(given.shape)
        tokens, batch = self._tokens_of(shape, like)
        if tokens is None:
            return None
        if isinstance(given, Const):
            tensor = given.tensor
            if batch:
                if not bool((tensor == tensor.narrow(-batch, 0, 1)).all()):
                    raise Unknown("a constant that differs between sequences")
                tensor = tensor.narrow(-batch, 0, 1)
            tensor = tensor.movedim(-tokens, 0).to(torch.float32)
            sizes = [self.context, *(size for size in tensor.shape[1:] if size > 1)]
            tensor = tensor.reshape(sizes).contiguous()
            node = self.table(tensor.reshape(self.context, -1))
        else:
            if batch or any(size > 1 for size in shape[:-tokens]):
                raise Unknown("a parameter along the tokens with more before them")
            sizes, tensor, node = [size for size in shape if size > 1], None, given.whole()
        dims, index = [], 0
        for back in range(len(shape), 0, -1):
            feature = shape[-back] > 1 and back not in (tokens, batch)
            dims.append(("T",) if back == tokens else (index,) if feature else ())
            index += feature
        made = self.looked_up(node, sizes, dims)
        made.tag = ("table", tensor, name)
        return made

    # Elementwise.

    def unary(self, name, x):
        if name in ACTIVATIONS and not isinstance(x, Static):
            return activation(name, x)
        made = unary(UNARY[name], x)
        if name == "neg" and isinstance(made, Act):
            made.tag = ("neg", x)
            if x.tag and x.tag[0] == "by_position":
                made.tag = ("by_position", x.tag[1], -x.tag[2])
        if name == "rsqrt" and isinstance(x, Act) and x.tag and x.tag[0] == "mean_square" and len(x.tag) == 3:
            made.tag = ("rstd", *x.tag[1:])
        return made

    def binary(self, name, x, other, alpha=1, rounding_mode=None):
        if rounding_mode is not None:
            raise Unknown("a division that rounds")
        if alpha != 1:
            other = self.binary("mul", other, alpha) if not isinstance(other, (int, float)) else other * alpha
        if isinstance(x, Scores) or isinstance(other, Scores):
            return self._of_scores(name, x, other)
        op, factor, reverse = BINARY[name], scalar_of(other), False
        if factor is None and scalar_of(x) is not None:
            x, factor, reverse = other, scalar_of(x), True
        if factor is not None:
            made = with_number(op, x, factor, reverse)
            if name == "add" and isinstance(x, Act) and x.tag and x.tag[0] == "mean_square":
                made.tag = (*x.tag[:2], factor)
            return made
        if not isinstance(x, Act) and isinstance(other, Act):
            x, other, reverse = other, x, True
        if not isinstance(x, Act):
            one, two = (each if isinstance(each, Static) else Static(constant(each.tensor)) for each in ((other, x) if reverse else (x, other)))
            if one.shape != two.shape:
                raise Unknown(f"parameters of the shapes {list(one.shape)} and {list(two.shape)}")
            return Static(Node(f"{op} {{0}}, {{1}} : {{t}}", [one.whole(), two.whole()], one.shape))
        if isinstance(other, Act):
            return self._both(name, op, x, other)
        placed = self._placed(other, x, name)
        if placed is not None:
            made = binary(op, placed, x) if reverse else binary(op, x, placed)
            if name == "mul" and placed.tag[1] is not None and placed.tag[1].dim() == 2:
                made.tag = ("by_position", x, placed.tag[1])
            return made
        static = other if isinstance(other, Static) else Static(constant(other.tensor))
        if name == "mul" and x.tag and x.tag[0] == "rms" and static.shape == (x.width(-1),):
            return normed("peer.rms_norm", x.tag[1], [static.whole()], x.tag[2])
        return with_static(op, x, static, reverse)

    def _both(self, name, op, x, other):
        if name == "mul":
            for value, root in ((x, other), (other, x)):
                if root.tag and root.tag[0] == "rstd" and root.tag[1] is value:
                    ones = constant(torch.ones(value.width(-1)))
                    made = normed("peer.rms_norm", value, [ones], root.tag[2])
                    made.tag = ("rms", value, root.tag[2])
                    return made
        if name in ("add", "sub"):
            minus = other
            if name == "sub" and other.tag and other.tag[0] == "by_position":
                minus = other.made(other.node, tag=("by_position", other.tag[1], -other.tag[2]))
            if name == "add" or minus is not other:
                if (turned := rotary_of_sum(x, minus, self.context)) is not None:
                    return turned
                made = binary(op, x, other)
                made.tag = tag_of_sum(x, minus)
                return made
        made = binary(op, x, other)
        if name == "mul" and x is other:
            made.tag = ("square", x)
        return made

    def _of_scores(self, name, x, other):
        scores, given = (x, other) if isinstance(x, Scores) else (other, x)
        factor = scalar_of(given)
        if name == "mul" and factor is not None:
            return scores.scaled(factor)
        if name == "div" and factor is not None and scores is x:
            return scores.scaled(1 / factor)
        if name == "add" and isinstance(given, Const):
            return scores.hidden(allowed_by(given.tensor), self.context)
        raise Unknown("arithmetic with attention's scores")
