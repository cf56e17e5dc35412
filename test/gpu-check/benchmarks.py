"""What is measured: descriptions for the compiler, and the specifications that the program and torch_side.py work by."""
import dataclasses

PERCENT, US, PER_TOKEN, BYTES, RATIO = "percent of copy", "us", "ns/token", "bytes", "times"


@dataclasses.dataclass(frozen=True)
class Layer:
    """Sizes of a product-key layer; experts = n * n neurons in one table."""
    width: int
    heads: int = 8
    selected: int = 16
    n: int = 1024
    half: int = 128
    table: str = "bf16"

    @property
    def experts(self):
        return self.n * self.n

    def types(self):
        """Type aliases of MLIR."""
        queries = self.heads * 2 * self.half
        return f"""!x = tensor<?x{self.width}xf32>
!idx = tensor<?x{self.heads}x{self.selected}xi32>
!weights = tensor<?x{self.heads}x{self.selected}xf32>
!query_weight = tensor<{self.width}x{queries}xf32>
!flat_query = tensor<?x{queries}xf32>
!query = tensor<?x{self.heads}x2x{self.half}xf32>
!keys = tensor<{self.heads}x2x{self.n}x{self.half}xf32>
!scores = tensor<?x{self.heads}x2x{self.n}xf32>
!pool = tensor<{self.experts}x2x{self.width}x{self.table}>
!scales = tensor<{self.experts}x2xf32>
"""

    def mix(self):
        if self.table != "i8":
            return MIX
        return """  %pool = peer.param "experts" zeros : !pool
  %scales = peer.param "experts.scale" uniform(0.00005, 0.0005) : !scales
  %y    = peer.quantized_mix %x, %idx, %w, %pool, %scales gelu : !x, !idx, !weights, !pool, !scales
"""

    def routing(self):
        return f"""  %wq   = peer.param "query.weight" normal(0.02) : !query_weight
  %q    = peer.linear %x, %wq : !x, !query_weight
  %qh   = peer.reshape %q to !query : !flat_query
  %keys = peer.param "keys" normal(0.02) : !keys
  %s    = peer.score %qh, %keys : !query, !keys
  %idx, %val = peer.select %s product_topk<{self.selected}> : !scores
  %w    = peer.gate %val softmax : !weights
"""


MIX = """  %pool = peer.param "experts" normal(0.02) group("experts") : !pool
  %y    = peer.mix %x, %idx, %w, %pool gelu : !x, !idx, !weights, !pool
"""
X, Y = '%x: !x {peer.name = "x"}', '!x {peer.name = "y"}'


def mix(layer):
    """The entry `mix` of x and given experts."""
    return (layer.types() + f'func.func @mix({X}, %idx: !idx {{peer.name = "idx"}}, %w: !weights {{peer.name = "w"}}) -> ({Y}) {{\n' +
            layer.mix() + "  return %y : !x\n}\n")


def routing(layer):
    """The entry `routing`: query, score, top-k, gate."""
    return (layer.types() + f'func.func @routing({X}) -> (!idx {{peer.name = "idx"}}, !weights {{peer.name = "w"}}) {{\n' +
            layer.routing() + "  return %idx, %w : !idx, !weights\n}\n")


def whole(layer):
    """The entry `layer`."""
    return layer.types() + f"func.func @layer({X}) -> ({Y}) {{\n" + layer.routing() + MIX + "  return %y : !x\n}\n"


def train(layer, optimizer):
    """The entry `train_step`: the loss takes y as the logits of `width` classes, little work beside the layer."""
    return (layer.types() + "func.func private @layer(%x: !x) -> !x {\n" + layer.routing() + MIX + f"""  return %y : !x
}}
func.func @loss({X}, %targets: tensor<?xi32> {{peer.name = "targets"}}) -> (tensor<f32> {{peer.name = "loss"}}) {{
  %y = peer.call "" @layer(%x) : (!x) -> !x
  %l = peer.cross_entropy %y, %targets : !x, tensor<?xi32>
  %m = peer.mean %l : tensor<?xf32>
  return %m : tensor<f32>
}}
peer.train @train_step of @loss {{optimizer = #peer.sgd<learning_rate = 1.0e-3>, groups = {{experts = #peer.{optimizer}}}}}
""")


SGD = "sgd<learning_rate = 1.0e-3, lazy = true>"
ADAMW = "adamw<learning_rate = 1.0e-3, weight_decay = 0.0, lazy = true>"


def _list(wide, narrow, tokens):
    """Tuples (id, name, kind, layer, T, unit, target, more); tokens(T) is T in the size wanted."""
    gradients = 4 * wide.heads * wide.selected * wide.width
    int8 = dataclasses.replace(wide, table="i8")
    return [
        ("G1", "mix, bf16, uniform ids", "mix", wide, 4096, PERCENT, 85, {}),
        ("G1", "mix, bf16, Zipf 0.7", "mix", wide, 4096, PERCENT, 85, {"zipf": 0.7}),
        ("G1", "mix, bf16, uniform ids", "mix", narrow, 4096, PERCENT, 75, {}),
        ("G1", "mix, bf16, Zipf 0.7", "mix", narrow, 4096, PERCENT, 75, {"zipf": 0.7}),
        ("G2", "query, score, top-k, gate", "routing", narrow, 16384, PER_TOKEN, 40, {}),
        ("G2", "query, score, top-k, gate", "routing", wide, 16384, PER_TOKEN, 40, {}),
        ("G3", "layer forward", "layer", wide, 16384, US, 2900, {}),
        ("G4", "forward, backward, SGD of touched rows", "train", wide, 4096, US, 2200, {}),
        ("G4", "forward, backward, SGD of touched rows", "train", wide, 16384, US, 9000, {}),
        ("G5", "layer, one token", "layer", wide, 1, US, 15, {}),
        ("G5", "layer, one token", "layer", narrow, 1, US, 15, {}),
        ("G6", "backward and AdamW of touched rows", "train", wide, 4096, PERCENT, 50, {"optimizer": ADAMW}),
        ("G7", "peak memory of a training step", "train", wide, 16384, BYTES, gradients * tokens(16384), {}),
        ("G7", "peak memory of a training step", "train", wide, 65536, BYTES, gradients * tokens(65536), {}),
        # So many times as fast as G1.
        ("G8", "mix, int8, uniform ids", "mix", int8, 4096, RATIO, 1.7, {"beside": f"mix, bf16, uniform ids, D = {wide.width}"}),
    ]


def specifications(small):
    """Pairs (specification, description). `small` ones are for the simulator."""
    wide, narrow = Layer(width=1024), Layer(width=256)
    if small:
        wide, narrow = (Layer(width, heads=2, selected=4, n=32, half=16) for width in (128, 64))

    def tokens(count):
        return (max(1, count // 128) if count <= 4096 else count // 256) if small else count

    make = {"mix": mix, "routing": routing, "layer": whole}
    for ident, name, kind, layer, count, unit, target, more in _list(wide, narrow, tokens):
        optimizer = more.get("optimizer", SGD)
        text = train(layer, optimizer) if kind == "train" else make[kind](layer)
        size = {"bf16": 2, "i8": 1}[layer.table]
        yield {
            "id": ident, "name": f"{name}, D = {layer.width}", "kind": kind, "small": small, "tokens": tokens(count),
            "entry": {"train": "train_step"}.get(kind, kind), "metric": unit, "target": target,
            "artifact": f"{kind}_{layer.width}_{layer.table}{'_adamw' if optimizer == ADAMW else ''}{'_small' if small else ''}.peer",
            "row_bytes": 2 * layer.heads * layer.selected * (layer.width * size + (4 if layer.table == "i8" else 0)), "experts": layer.experts,
            # Routing in split products or tf32 may swap two experts of almost the same score.
            "tolerance": 1e-4, "optimizer": optimizer.split("<")[0], "zipf": more.get("zipf", 0),
            # PyTorch has no mix of int8 rows to compare with.
            "beside": more.get("beside", ""), "torch": layer.table != "i8",
            **{key: getattr(layer, key) for key in ("width", "heads", "selected", "n", "half", "table")},
        }, text
