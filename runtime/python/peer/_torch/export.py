"""Whole models of torch as descriptions: `peer.export`.

`interpret` reads the graph of torch.export with the handlers of `aten`; `values`, `words` and `attending` make nodes of what it meets, which are printed here.
"""
import contextlib
import copy
import ctypes
import math

import torch

from .._compile import compile as compile_description
from .._library import Error
from .._safetensors import PIECE, atomically, write
from .interpret import Interpreter
from .layers import Layers
from .modules import Layered
from .optim import AdamW
from .values import Act, Const, Node, Static, Tokens, Unknown, number

# Near enough to be the same computation in f32, relative to the largest logit.
_NEAR = 2e-4


def _lines(result):
    """The ops that a node is made of, as text, and its name."""
    names, lines, waiting, place = {}, [], [result], None
    while waiting:
        node = waiting[-1]
        missing = [each for each in node.inputs if id(each) not in names]
        if id(node) in names:
            waiting.pop()
        elif missing:
            waiting += reversed(missing)
        else:
            waiting.pop()
            if node.text is None:
                names[id(node)] = f"%{node.place}"
                continue
            if node.text.startswith("#"):
                names[id(node)] = names[id(node.inputs[0])] + node.text
                continue
            names[id(node)] = f"%{len(names)}"
            if node.place and node.place != place:
                place = node.place
                lines.append(f"  // {place}")
            types = {f"t{index}": each.type for index, each in enumerate(node.inputs)}
            lines.append(f"  {names[id(node)]}{':2' * (node.dtype is None)} = " + node.text.format(*(names[id(each)] for each in node.inputs), t=node.type, **types))
    return lines, names[id(result)], set(names)


def _positions(width, context):
    """The position of each token. A turn by position / 2^bits is small enough to be its own sine, and rotary positions are what decoding goes on with."""
    bits, tokens = max(math.ceil(math.log2(context)), 1) + 10, f"tensor<?x{width}xf32>"
    return f"""// The position of each token, f32 to i32: its sine where it turns by position * 2^-{bits}. Beyond the context the last one is.
func.func private @positions(%x: {tokens}) -> tensor<?xi32> {{
  %axis = arith.constant dense<[1.0, 1.0, 0.0, 0.0]> : tensor<4xf32>
  %four = peer.{f'slice %x along 1 from 0 size 4' if width >= 4 else f'pad %x along 1 low 0 high {4 - width}'} : {tokens}
  %axes = peer.broadcast %axis like %four along [0] : tensor<4xf32>, tensor<?x4xf32>
  %turned = peer.rotary %axes heads 1 context {context} {{base = {number(2.0**(2 * bits))} : f32}} : tensor<?x4xf32>
  %column = peer.slice %turned along 1 from 3 size 1 : tensor<?x4xf32>
  %sine = peer.reshape %column to tensor<?xf32> : tensor<?x1xf32>
  %c0 = arith.constant dense<{number(2.0**bits)}> : tensor<f32>
  %scale = peer.broadcast %c0 like %sine along [0] : tensor<f32>, tensor<?xf32>
  %c1 = arith.constant dense<5.0e-1> : tensor<f32>
  %half = peer.broadcast %c1 like %sine along [0] : tensor<f32>, tensor<?xf32>
  %c2 = arith.constant dense<{number(context - 0.5)}> : tensor<f32>
  %last = peer.broadcast %c2 like %sine along [0] : tensor<f32>, tensor<?xf32>
  %exact = arith.mulf %sine, %scale : tensor<?xf32>
  %up = arith.addf %exact, %half : tensor<?xf32>
  %within = arith.minnumf %up, %last : tensor<?xf32>
  %position = arith.fptosi %within : tensor<?xf32> to tensor<?xi32>
  return %position : tensor<?xi32>
}}
"""


def _bytes(tensor):
    """A tensor's memory in pieces, without numpy."""
    size = tensor.numel() * tensor.element_size()
    for start in range(0, size, PIECE):
        yield ctypes.string_at(tensor.data_ptr() + start, min(PIECE, size - start))


class Exported:
    """A model as a description and weights.

    text      the description: entries logits and loss, train_step, prefill and decode; str() of it, too
    weights   its parameters by name, tensors that are the model's own; "constants.N" are what the model computes of positions
    context   tokens of a sequence
    """

    def __init__(self, text, weights, context):
        self.text, self.weights, self.context = text, weights, context

    def __str__(self):
        return self.text

    def save(self, description, weights):
        """Writes the description and the weights, a safetensors file, for peer-opt and peer-run."""
        write(weights, [(name, "F32", tuple(tensor.shape), _bytes(tensor)) for name, tensor in self.weights.items()])
        atomically(description, lambda file: file.write(self.text.encode()))

    def compile(self, target="cpu", device="", threads=0, copy=True):
        """Compiles it, as peer.compile does, with the weights in it: copies of them, or the model's own, which training then changes."""
        artifact = compile_description(self.text, target, device, threads)
        known = {argument["name"] for entry in artifact.manifest["entries"] for argument in entry["arguments"]}
        for name, tensor in self.weights.items():
            if name in known:
                artifact.bind(name, tensor.clone() if copy else tensor)
        return artifact


def _spelled(group, kind, clip):
    """A parameter group's optimizer in the words of descriptions."""
    fault = next((f"{name}={group[name]}" for name in ("amsgrad", "maximize", "nesterov", "dampening") if group.get(name)), None)
    if kind == "sgd":
        fault = fault or (f"weight_decay={group['weight_decay']}, which torch adds to gradients" if group["weight_decay"] else None)
        parts = {"learning_rate": group["lr"], "momentum": group["momentum"]}
    else:
        if kind == "adam" and group["weight_decay"] and not group.get("decoupled_weight_decay"):
            fault = fault or f"weight_decay={group['weight_decay']}, which torch adds to gradients: use AdamW"
        parts = {"learning_rate": group["lr"], "beta1": group["betas"][0], "beta2": group["betas"][1], "epsilon": group["eps"], "weight_decay": group["weight_decay"]}
    if fault:
        raise Error(f"the optimizer has {fault}; descriptions do not")
    if clip is None:
        clip = group.get("clip_norm")
    if clip is not None:
        parts["clip_norm"] = clip
    lazy = ["lazy = true"] * bool(group.get("lazy")) + ["states = bf16"] * (group.get("state_dtype") == torch.bfloat16)
    return f"#peer.{'sgd' if kind == 'sgd' else 'adamw'}<{', '.join([f'{name} = {number(value)}' for name, value in parts.items()] + lazy)}>"


class _Training:
    """Which parameters train, by what: groups of the description."""

    def __init__(self, model, optimizer):
        self.tables = [module.experts for module in model.modules() if isinstance(module, Layered) and module.grad == "rows"]
        self.optimizers, self._group = {}, {}
        if optimizer is None:
            shared = len({id(table) for table in self.tables}) < len(self.tables)
            self.optimizers = {"default": "#peer.adamw<>"} | ({"experts": f"#peer.adamw<lazy = {str(not shared).lower()}>"} if self.tables else {})
            self._group = {id(table): "experts" for table in self.tables}
            return
        kind = {"AdamW": "adamw", "Adam": "adam", "SGD": "sgd", "LazyAdamW": "adamw"}.get(type(optimizer).__name__)
        if kind is None or not isinstance(optimizer, torch.optim.Optimizer):
            raise Error(f"the optimizer is {type(optimizer).__name__}; AdamW, Adam and SGD of torch.optim and peer.optim.AdamW are known")
        clip = optimizer._clip_norm if isinstance(optimizer, AdamW) else None
        if clip is not None and len(optimizer.param_groups) > 1:
            raise Error("the optimizer has clip_norm of all gradients together, and descriptions clip each group; use table_clip_norm")
        for index, group in enumerate(optimizer.param_groups):
            name = "experts" if group.get("lazy") else f"group{index}" if index else "default"
            self.optimizers[name] = _spelled(group, kind, clip)
            self._group.update({id(each): name for each in group["params"]})
        self.optimizers.setdefault("default", next(iter(self.optimizers.values())))

    def mark(self, tensor):
        """What follows the first values of a parameter."""
        trains = tensor.requires_grad or any(tensor is table for table in self.tables)
        group = self._group.get(id(tensor), "default")
        return " buffer" if not trains else f' group("{group}")' if group != "default" else ""

    def text(self):
        groups = {name: spelled for name, spelled in self.optimizers.items() if name != "default"}
        more = "".join(f"\n    {name} = {spelled}," for name, spelled in groups.items())[:-1]
        """The training step."""
        return f"peer.train @train_step of @loss {{optimizer = {self.optimizers['default']}" + (f", groups = {{{more}}}" if groups else "") + "}\n"


def _first(tensor):
    """Values to begin with like those that a parameter has."""
    some = tensor.detach().flatten()[:2**20]
    if some.numel() == 0 or bool((some == some[0]).all()):
        value = float(some[0]) if some.numel() else 0.0
        return "zeros" if value == 0 else "ones" if value == 1 else f"constant({number(value)})"
    return f"normal({float(some.std(correction=0)):.6e})"


@contextlib.contextmanager
def _in_eval_mode(model):
    """While it lasts; then each module is in the mode that it was in."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode


def _traced(model, tokens, arguments, drops):
    try:
        with torch.no_grad(), contextlib.nullcontext() if drops else _in_eval_mode(model):
            return torch.export.export(model, (tokens,), arguments, strict=False)
    except Error:
        raise
    except Exception as error:
        said = str(error).strip().splitlines()
        raise Error(f"torch.export does not trace the model: {said[0] if said else type(error).__name__}") from error


def _fault(node, error):
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    path, kind = stack[-1] if stack else ("", "the model")
    kind = kind if isinstance(kind, str) else kind.__name__
    target = node.target
    op = target._schema.name.replace("::", ".") if isinstance(target, torch._ops.OpOverload) else getattr(target, "__name__", None) or str(target)
    return Error(f"{op} in {path or 'the model'} ({kind.rpartition('.')[2]}) has no words in descriptions" + (f": {error}" if str(error) else ""))


class _Export:
    def __init__(self, model, whole, tokens, arguments, optimizer, drops):
        """`whole`: the model, or where its parameters are narrow its copy in f32."""
        self.model, self.tokens = model, tokens
        self.training = _Training(model, optimizer)
        self.program = _traced(whole, tokens, arguments, drops)
        self.weights, self.nodes = {}, {}
        self.names = {}
        for name, tensor in whole.named_parameters():
            self.names[id(tensor)] = name
        self.tensors = dict(whole.named_parameters(remove_duplicate=False))
        given = dict(model.named_parameters(remove_duplicate=False))
        self.mark = lambda name: self.training.mark(given[name])
        sizes = {"B": tokens.shape[0] if tokens.dim() > 1 else 1, "T": tokens.shape[-1], "L": 1}
        self.interpreter = Interpreter(sizes, Layers(self.mark), drops)

    def parameter(self, given):
        """A parameter by any of its names: one node under the first of them."""
        tensor = self.tensors[given]
        name = self.names[id(tensor)]
        if name not in self.nodes:
            if tensor.dtype != torch.float32 or tensor.device.type != "cpu":
                raise Error(f"{name} is {tensor.dtype} on {tensor.device}; expected torch.float32 on the CPU: model.float().cpu() is that")
            node = Node(f'peer.param "{name}" {_first(tensor)}{self.mark(name)} : {{t}}', [], tensor.shape)
            self.nodes[name] = Static(node, name)
            self.weights[name] = tensor.detach().contiguous()
        return self.nodes[name]

    def given(self):
        """What the graph's placeholders are."""
        kinds, values, left = torch.export.graph_signature.InputKind, {}, self.tokens
        for spec in self.program.graph_signature.input_specs:
            name = spec.arg.name
            if spec.kind == kinds.PARAMETER:
                values[name] = spec.target
            elif spec.kind in (kinds.BUFFER, kinds.CONSTANT_TENSOR):
                held = self.program.state_dict if spec.target in self.program.state_dict else self.program.constants
                values[name] = Const(held[spec.target].detach().clone())
            elif left is not None:
                dims = [("T",)] if left.dim() == 1 else [("B",), ("T",)]
                tokens = Node(None, [], ["?"], "i32")
                tokens.place = "tokens"
                values[name], left = Tokens(self.interpreter.sizes, tokens, dims), None
            else:
                value = getattr(spec.arg, "value", None)
                values[name] = value
        # Only what is used is a parameter of the description.
        used = {node.name: bool(node.users) for node in self.program.graph.nodes}
        return {name: self.parameter(value) if isinstance(value, str) and used[name] else value for name, value in values.items()}

    def logits(self):
        outputs = self.interpreter.run(self.program.graph_module, self.given(), _fault)
        for each in outputs:
            if isinstance(each, Act) and not isinstance(each, Tokens):
                made = each.compact()
                names = [atom for dim in made.dims for atom in dim if isinstance(atom, str)]
                if len(made.node.shape) == 2 and not made.is_tokens(-1) and ("T" in names or "L" in names):
                    return made.node
        raise Error("the model gives no logits: expected f32 [sequences, tokens, vocabulary] among its results")

    def text(self):
        """What makes logits."""
        logits = self.logits()
        lines, result, printed = _lines(logits)
        self.weights.update({name: tensor for name, tensor in self.interpreter.tables.items() if id(self.interpreter.known[name]) in printed})
        for name, static in self.nodes.items():
            if id(static.node) not in printed and name not in self.interpreter.layers.names:
                del self.weights[name]
        body, width = "\n".join(lines), logits.shape[1]
        ids, scores = "tensor<?xi32>", f"tensor<?x{width}xf32>"
        parts = [f"// Made by peer.export of {type(self.model).__name__}: a vocabulary of {width}, sequences of {self.interpreter.context} tokens.\n"]
        if "@positions(" in body:
            parts.append(_positions(self.interpreter.like.flat()[0].shape[1], self.interpreter.context))
        if self.interpreter.layers.functions:
            parts.append(self.interpreter.layers.text())
        parts.append(f'func.func @logits(%tokens: {ids} {{peer.name = "tokens"}}) -> ({scores} {{peer.name = "logits"}}) {{\n{body}\n  return {result} : {scores}\n}}\n')
        self.types = ids, scores
        return "\n".join(parts)

    def loss(self):
        ids, scores = self.types
        return f"""func.func @loss(%tokens: {ids} {{peer.name = "tokens"}}, %targets: {ids} {{peer.name = "targets"}}) -> (tensor<f32> {{peer.name = "loss"}}) {{
  %logits = peer.call "" @logits(%tokens) : ({ids}) -> {scores}
  %losses = peer.cross_entropy %logits, %targets : {scores}, {ids}
  %loss = peer.mean %losses : tensor<?xf32>
  return %loss : tensor<f32>
}}
"""


def _logits_of(given):
    """Those among a model's results."""
    if isinstance(given, torch.Tensor):
        return given
    values = given.values() if hasattr(given, "values") else given
    return next(each for each in values if isinstance(each, torch.Tensor) and each.dim() > 1)


def _check(model, tokens, arguments, exported, text):
    artifact = Exported(text, exported.weights, exported.context).compile(copy=False)
    ours = torch.from_dlpack(artifact.logits(tokens.reshape(-1).to(torch.int32).contiguous()))
    with torch.no_grad(), _in_eval_mode(model):
        theirs = _logits_of(model(tokens, **arguments))
    ours = ours.reshape(*tokens.shape, -1)
    ours = ours[..., -theirs.shape[-2]:, :]
    off = float((ours - theirs).abs().max() / theirs.abs().max().clamp_min(1e-30))
    if not off <= _NEAR:
        raise Error(f"the description computes other logits than the model: they are off by {off:.1e} of the largest. This is a fault of peer.export; "
                    "check=False gives the description all the same")


def _widened(model):
    """The model, or its copy in f32 where parameters are narrower."""
    narrow = [each for each in model.parameters() if each.dtype in (torch.bfloat16, torch.float16)]
    if not narrow:
        return model
    kinds = " and ".join(sorted({str(each.dtype).removeprefix("torch.") for each in narrow}))
    print(f"peer: {len(narrow)} parameters of {kinds} are widened to f32, in which descriptions compute")
    return copy.deepcopy(model).float()


def export(model, example_tokens, *, optimizer=None, train=True, decode=True, check=True, **arguments):
    """A decoder of torch as a description and weights, from which peer-opt and peer-run train and serve it without Python.

    model            a torch.nn.Module on the CPU that makes logits [B, T, V] (alone or with other results) of tokens [B, T]; it is traced by
                     torch.export as model(example_tokens, **arguments). Dropout of a model in training mode is that of the training step; a model in
                     eval mode drops nothing. Parameters of bf16 and f16 are widened, which is said in one line
    example_tokens   whole numbers [B, T] or [T]; T is the context of the description
    optimizer        torch.optim's AdamW, Adam or SGD, or peer.optim.AdamW: groups and settings of the training step; by default those of #peer.adamw,
                     with lazy rows where layers have grad="rows"
    train, decode    whether there are a training step, and entries that continue a sequence
    check            compiles what makes logits, and compares those of example_tokens with the model's

    Known are embeddings, linear layers, layer and RMS norms, learned and rotary positions, causal attention (with grouped keys and values, too),
    activations, elementwise arithmetic, and peer.PEER, peer.PKM and peer.MoE. Returns an Exported. Raises peer.Error, which names module and op, for what it
    does not know.
    """
    if not isinstance(model, torch.nn.Module):
        raise Error(f"the model is {type(model).__name__}, expected a torch.nn.Module")
    if not isinstance(example_tokens, torch.Tensor) or example_tokens.dim() not in (1, 2) or example_tokens.dtype not in (torch.int64, torch.int32):
        raise Error("example_tokens is no tensor of whole numbers [sequences, tokens] or [tokens]")
    if example_tokens.shape[-1] < 2 or example_tokens.numel() == 0:
        raise Error(f"example_tokens has the shape {list(example_tokens.shape)}; expected at least two tokens, which are the context")
    whole = _widened(model)
    made = _Export(model, whole, example_tokens, arguments, optimizer, drops=model.training and train)
    try:
        text = made.text()
    except Unknown as error:
        raise Error(f"the logits have no words in descriptions: {error}") from None
    more = ["", made.loss()] + [made.training.text()] * train + ["peer.decode @decode prefill @prefill of @logits\n"] * decode
    exported = Exported(text + "\n".join(more), made.weights, example_tokens.shape[-1])
    if check:
        _check(whole, example_tokens, arguments, exported, text)
    return exported
