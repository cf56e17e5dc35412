"""Descriptions of the layers that modules stand for."""
import dataclasses
import math

from ._library import Error

GATES = ("softmax", "relu", "sigmoid", "one")
ACTIVATIONS = ("gelu", "silu", "relu")
ROWS = {"v": 1, "uv": 2, "guv": 3}


@dataclasses.dataclass(frozen=True)
class Layer:
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

    def __post_init__(self):
        def want(what, value, known):
            if value not in known:
                raise Error(f"{what} is {value!r}; it can be {', '.join(map(repr, known))}")
        for what in ("dim", "num_experts", "heads", "experts_per_head", "key_dim"):
            value = getattr(self, what)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise Error(f"{what} is {value!r}; expected a whole number of at least 1")
        want("gate", self.gate, GATES)
        want("activation", self.activation, ACTIVATIONS)
        want("row", self.rows, tuple(ROWS))
        if self.query_norm == "batch":
            raise Error("query_norm is 'batch', whose statistics a module does not keep yet; it can be None or 'layer'")
        want("query_norm", self.query_norm, (None, "layer"))
        want("pre_norm", self.pre_norm, (None, "rms"))
        if math.isqrt(self.num_experts) ** 2 != self.num_experts:
            near = math.isqrt(self.num_experts)
            raise Error(f"num_experts is {self.num_experts}, which is no square of a number of keys; {near ** 2} and {(near + 1) ** 2} are")
        if self.experts_per_head > self.keys:
            raise Error(f"experts_per_head is {self.experts_per_head}, and there are {self.keys} keys in each half; it can be at most as many")

    @property
    def keys(self):
        return math.isqrt(self.num_experts)

    @property
    def parameters(self):
        """Names and shapes, in the order in which the description uses them; the table is the last."""
        found = {"norm.weight": (self.dim,)} if self.pre_norm else {}
        found["query.weight"] = (self.dim, self.heads * 2 * self.key_dim)
        if self.query_norm:
            found["query_norm.weight"] = found["query_norm.bias"] = (self.key_dim,)
        found["keys"] = (1 if self.shared_keys else self.heads, 2, self.keys, self.key_dim)
        found["experts"] = (self.num_experts, ROWS[self.rows], self.dim)
        return found

    def _tensor(self, name):
        return f"tensor<{'x'.join(map(str, self.parameters[name]))}xf32>"

    def _mix(self):
        tokens, heads = f"tensor<?x{self.dim}xf32>", f"tensor<?x{self.heads}x{self.experts_per_head}x"
        activation = "" if self.rows == "v" else f" {self.activation}"
        return (f'  %pool = peer.param "experts" normal(0.02) group("experts") : {self._tensor("experts")}\n'
                f"  %y = peer.mix %x, %idx, %w, %pool{activation} : {tokens}, {heads}i32>, {heads}f32>, {self._tensor('experts')}\n"
                f"  return %y : {tokens}\n}}\n")

    def text(self, dense):
        """The layer, for inference (@layer) and training (@forward, @backward); `dense`: with the gradient of the table as a whole."""
        return self.function() + f"peer.gradient @backward of @layer {{saved = @forward{'' if dense else ', rows'}}}\n"

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
        mix = self._mix() if self.pre_norm else self._mix().replace("%x", "%given")
        return "\n".join(lines) + "\n" + mix

    def update_text(self, optimizer):
        """Steps of the table from pairs: @update, and @norm, the square of their sum's norm."""
        heads = f"tensor<?x{self.heads}x{self.experts_per_head}x"
        return (f"func.func @mix(%x: tensor<?x{self.dim}xf32>, %idx: {heads}i32>, %w: {heads}f32>) -> tensor<?x{self.dim}xf32> {{\n" +
                self._mix() + f'peer.update_rows @update norm @norm of "experts" {{optimizer = {optimizer}}}\n')


def adamw(beta1, beta2, epsilon, weight_decay):
    """The optimizer as descriptions spell it."""
    return f"#peer.adamw<beta1 = {beta1:e}, beta2 = {beta2:e}, epsilon = {epsilon:e}, weight_decay = {weight_decay:e}, lazy = true>"
