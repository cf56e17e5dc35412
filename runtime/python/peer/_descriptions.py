"""Descriptions of the layers that modules stand for."""
import dataclasses
import math

from ._library import Error

GATES = ("softmax", "relu", "sigmoid", "one")
ACTIVATIONS = ("gelu", "silu", "relu")
ROWS = {"v": 1, "uv": 2, "guv": 3}
# What is done with the sum of values: a linear layer, behind a product with silu of a linear layer of x.
PROJECTIONS = (None, "linear", "swilu")


def _want(what, value, known):
    if value not in known:
        raise Error(f"{what} is {value!r}; it can be {', '.join(map(repr, known))}")


def _count(layer, names):
    for what in names:
        value = getattr(layer, what)
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise Error(f"{what} is {value!r}; expected a whole number of at least 1")


class _Described:
    """What a layer's descriptions have in common, given its `parameters`, heads, experts_per_head and rows; the table is the last parameter."""
    rows_per_expert = 1
    # Beside x: what the caller routes by.
    routed = ()

    @property
    def width(self):
        """Of the table's vectors."""
        return self.dim

    def _tensor(self, name):
        return f"tensor<{'x'.join(map(str, self.parameters[name]))}xf32>"

    def _chosen(self):
        heads = f"tensor<?x{self.heads}x{self.experts_per_head}x"
        return f"{heads}i32>", f"{heads}f32>"

    def _mix(self, source="%x"):
        tokens, (ids, weights) = f"tensor<?x{self.width}xf32>", self._chosen()
        activation = "" if self.rows == "v" else f" {self.activation}"
        many = f" {{rows_per_expert = {self.rows_per_expert}}}" if self.rows_per_expert > 1 else ""
        return (f'  %pool = peer.param "experts" normal(0.02) group("experts") : {self._tensor("experts")}\n'
                f"  %y = peer.mix {source}, %idx, %w, %pool{activation}{many} : {tokens}, {ids}, {weights}, {self._tensor('experts')}\n")

    def _return(self, width, result="%y"):
        return f"  return {result} : tensor<?x{width}xf32>\n}}\n"

    def text(self, dense):
        """The layer, for inference (@layer) and training (@forward, @backward); `dense`: with the gradient of the table as a whole."""
        return self.function() + f"peer.gradient @backward of @layer {{saved = @forward{'' if dense else ', rows'}}}\n"

    def update_text(self, optimizer):
        """Steps of the table from pairs: @update, and @norm, the square of their sum's norm."""
        ids, weights = self._chosen()
        return (f"func.func @mix(%x: tensor<?x{self.width}xf32>, %idx: {ids}, %w: {weights}) -> tensor<?x{self.width}xf32> {{\n" +
                self._mix() + self._return(self.width) + f'peer.update_rows @update norm @norm of "experts" {{optimizer = {optimizer}}}\n')


@dataclasses.dataclass(frozen=True)
class Layer(_Described):
    """What a product-key layer computes. `key_dim` is of one half of a key, `rows` the letters of a row's vectors."""
    dim: int
    num_experts: int
    heads: int
    experts_per_head: int
    key_dim: int
    gate: str = "softmax"
    activation: str = "gelu"
    rows: str = "uv"
    shared_keys: bool = False
    query_norm: str | None = None
    pre_norm: str | None = None
    norm_epsilon: float = 1e-5
    query_bias: bool = False
    value_dim: int | None = None
    value_proj: str | None = None
    gated: bool = False

    def __post_init__(self):
        _count(self, ("dim", "num_experts", "heads", "experts_per_head", "key_dim"))
        _want("gate", self.gate, GATES)
        _want("activation", self.activation, ACTIVATIONS)
        _want("row", self.rows, tuple(ROWS))
        if self.query_norm == "batch":
            raise Error("query_norm is 'batch', whose statistics a module does not keep yet; it can be None or 'layer'")
        _want("query_norm", self.query_norm, (None, "layer"))
        _want("pre_norm", self.pre_norm, (None, "rms"))
        _want("value_proj", self.value_proj, PROJECTIONS)
        if self.value_dim is not None:
            _count(self, ("value_dim",))
        if self.value_proj and self.rows != "v":
            raise Error(f"value_proj is {self.value_proj!r} and row is {self.rows!r}; values alone are projected, those of row \"v\"")
        if self.width != self.dim and not self.value_proj:
            raise Error(f"value_dim is {self.width} and dim is {self.dim}; what has another width wants value_proj")
        if math.isqrt(self.num_experts) ** 2 != self.num_experts:
            near = math.isqrt(self.num_experts)
            raise Error(f"num_experts is {self.num_experts}, which is no square of a number of keys; {near ** 2} and {(near + 1) ** 2} are")
        if self.experts_per_head > self.keys:
            raise Error(f"experts_per_head is {self.experts_per_head}, and there are {self.keys} keys in each half; it can be at most as many")

    @property
    def keys(self):
        return math.isqrt(self.num_experts)

    @property
    def width(self):
        return self.dim if self.value_dim is None else self.value_dim

    @property
    def parameters(self):
        """Names and shapes, in the order in which the description uses them; the table is the last."""
        found = {"norm.weight": (self.dim,)} if self.pre_norm else {}
        found["query.weight"] = (self.dim, self.heads * 2 * self.key_dim)
        if self.query_bias:
            found["query.bias"] = (self.heads * 2 * self.key_dim,)
        if self.query_norm:
            found["query_norm.weight"] = found["query_norm.bias"] = (self.key_dim,)
        found["keys"] = (1 if self.shared_keys else self.heads, 2, self.keys, self.key_dim)
        # As torch has them: out x in.
        if self.value_proj == "swilu":
            found["swilu_projection.weight"], found["swilu_projection.bias"] = (self.width, self.dim), (self.width,)
        if self.value_proj:
            found["value_proj.weight"], found["value_proj.bias"] = (self.dim, self.width), (self.dim,)
        if self.gated:
            found["gating.weight"], found["gating.bias"] = (1, self.dim), (1,)
        found["experts"] = (self.num_experts, ROWS[self.rows], self.width)
        return found

    def _linear(self, name, source, result):
        """A linear layer of a name, of torch's layout."""
        weight, bias = f"{name}.weight", f"{name}.bias"
        size, given = self.parameters[weight]
        return [f'  {result}w = peer.param "{weight}" normal(0.02) : {self._tensor(weight)}', f'  {result}b = peer.param "{bias}" zeros : {self._tensor(bias)}',
                f"  {result} = peer.linear {source}, {result}w, {result}b {{transpose_weight}} : tensor<?x{given}xf32>, {self._tensor(weight)}, {self._tensor(bias)}"]

    def _values(self, source):
        """The sum of values and what is done with it."""
        values, tokens, given = f"tensor<?x{self.width}xf32>", f"tensor<?x{self.dim}xf32>", source
        before = self._linear("swilu_projection", source, "%p") if self.value_proj == "swilu" else []
        # Rows of one vector do not look at what they are mixed for, whose width is theirs.
        if self.value_proj == "swilu":
            given = "%p"
        elif self.width != self.dim:
            given = "%part"
            before.append(f"  %part = peer.slice {source} along 1 from 0 size {self.width} : {tokens}" if self.width < self.dim else
                          f"  %part = peer.pad {source} along 1 low 0 high {self.width - self.dim} : {tokens}")
        after, last = [], "%y"
        if self.value_proj == "swilu":
            after += [f"  %a = peer.activation %p silu : {values}", f"  %h = arith.mulf %y, %a : {values}"]
            last = "%h"
        if self.value_proj:
            after += self._linear("value_proj", last, "%o")
            last = "%o"
        if self.gated:
            after += [*self._linear("gating", source, "%l"), "  %r = peer.activation %l sigmoid : tensor<?x1xf32>",
                      "  %t = peer.reshape %r to tensor<?xf32> : tensor<?x1xf32>", f"  %b = peer.broadcast %t like {last} along [1] : tensor<?xf32>, {tokens}",
                      f"  %z = arith.mulf %b, {last} : {tokens}"]
            last = "%z"
        mixed = self._mix(given)
        return "".join(f"{line}\n" for line in before) + mixed + "".join(f"{line}\n" for line in after) + self._return(self.dim, last)

    def function(self):
        """The layer, @layer."""
        tokens, queries = f"tensor<?x{self.dim}xf32>", f"tensor<?x{self.heads * 2 * self.key_dim}xf32>"
        split = f"tensor<?x{self.heads}x2x{self.key_dim}xf32>"
        lines = [f'func.func @layer(%given: {tokens} {{peer.name = "x"}}) -> ({tokens} {{peer.name = "y"}}) {{']
        source = "%given"
        if self.pre_norm:
            # Its default is 1e-5; a float is spelled so that it comes back the same.
            lines += [f'  %g = peer.param "norm.weight" ones : {self._tensor("norm.weight")}',
                      f"  %x = peer.rms_norm %given, %g {{epsilon = {self.norm_epsilon:e} : f32}} : {tokens}, {self._tensor('norm.weight')}"]
            source = "%x"
        lines += [f'  %wq = peer.param "query.weight" normal(0.02) : {self._tensor("query.weight")}',
                  f"  %q = peer.linear {source}, %wq : {tokens}, {self._tensor('query.weight')}"]
        if self.query_bias:
            lines[-1:] = [f'  %bq = peer.param "query.bias" zeros : {self._tensor("query.bias")}',
                          f"  %q = peer.linear {source}, %wq, %bq : {tokens}, {self._tensor('query.weight')}, {self._tensor('query.bias')}"]
        last, kind = "%q", queries
        if self.query_norm:
            halves, width = f"tensor<?x{self.key_dim}xf32>", f"tensor<{self.key_dim}xf32>"
            lines += [f'  %nw = peer.param "query_norm.weight" ones : {width}', f'  %nb = peer.param "query_norm.bias" zeros : {width}',
                      f"  %qr = peer.reshape %q to {halves} : {queries}",
                      f"  %qn = peer.layer_norm %qr, %nw, %nb : {halves}, {width}, {width}"]
            last, kind = "%qn", halves
        lines += [f"  %qh = peer.reshape {last} to {split} : {kind}",
                  f'  %keys = peer.param "keys" normal(0.02) : {self._tensor("keys")}',
                  f"  %s = peer.score %qh, %keys : {split}, {self._tensor('keys')}",
                  f"  %idx, %v = peer.select %s product_topk<{self.experts_per_head}> : tensor<?x{self.heads}x2x{self.keys}xf32>",
                  f"  %w = peer.gate %v {self.gate} : tensor<?x{self.heads}x{self.experts_per_head}xf32>"]
        return "\n".join(lines) + "\n" + self._values(source)


# How a router weighs the experts that a token chose.
ROUTER_GATES = ("softmax", "probability", "sigmoid")


@dataclasses.dataclass(frozen=True)
class Experts(_Described):
    """A mixture of experts that are networks with `rows_per_expert` hidden units each; `gate` None: the caller routes, by idx and w."""
    dim: int
    num_experts: int
    experts_per_head: int
    rows_per_expert: int
    gate: str | None = "softmax"
    activation: str = "silu"
    rows: str = "guv"
    heads = 1

    def __post_init__(self):
        _count(self, ("dim", "num_experts"))
        for what, value in (("experts_per_token", self.experts_per_head), ("hidden", self.rows_per_expert)):
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise Error(f"{what} is {value!r}; expected a whole number of at least 1")
        if self.gate is not None:
            _want("gate", self.gate, ROUTER_GATES)
        _want("activation", self.activation, ACTIVATIONS)
        _want("row", self.rows, ("uv", "guv"))
        if self.experts_per_head > self.num_experts:
            raise Error(f"experts_per_token is {self.experts_per_head}, and there are {self.num_experts} experts; it can be at most as many")

    @property
    def routed(self):
        return () if self.gate else ("idx", "w")

    @property
    def parameters(self):
        found = {"router": (1, 1, self.num_experts, self.dim)} if self.gate else {}
        found["experts"] = (self.num_experts * self.rows_per_expert, ROWS[self.rows], self.dim)
        return found

    def function(self):
        """The layer, @layer."""
        tokens, (ids, weights) = f"tensor<?x{self.dim}xf32>", self._chosen()
        more = "" if self.gate else f', %idx: {ids} {{peer.name = "idx"}}, %w: {weights} {{peer.name = "w"}}'
        lines = [f'func.func @layer(%given: {tokens} {{peer.name = "x"}}{more}) -> ({tokens} {{peer.name = "y"}}) {{']
        if self.gate:
            query, scores = f"tensor<?x1x1x{self.dim}xf32>", f"tensor<?x1x1x{self.num_experts}xf32>"
            weigh = f"peer.probability %v, %s : {weights}, {scores}" if self.gate == "probability" else f"peer.gate %v {self.gate} : {weights}"
            lines += [f"  %q = peer.reshape %given to {query} : {tokens}",
                      f'  %c = peer.param "router" normal(0.02) : {self._tensor("router")}',
                      f"  %s = peer.score %q, %c : {query}, {self._tensor('router')}",
                      f"  %idx, %v = peer.select %s topk<{self.experts_per_head}> : {scores}",
                      f"  %w = {weigh}"]
        return "\n".join(lines) + "\n" + self._mix("%given") + self._return(self.dim)


def adamw(beta1, beta2, epsilon, weight_decay, states):
    """The optimizer as descriptions spell it."""
    return f"#peer.adamw<beta1 = {beta1:e}, beta2 = {beta2:e}, epsilon = {epsilon:e}, weight_decay = {weight_decay:e}, lazy = true, states = {states}>"
