"""The ops of torch that layers are made of.

`peer::infer`, `peer::forward` (with what its backward reads) and `peer::backward`. Schemas carry no objects: a layer is the number `h`
of an entry of `layers`. The gradient of a table in pair form is kept beside the op, in `Handle.pending`: it is no tensor of the
table's shape, and torch has no other place for it.
"""
import itertools
import threading
import warnings
import weakref

import torch

from .._library import Error
from . import calls
from .calls import DEVICES, PAIRS, Functions

_numbers = itertools.count()
# A layer is there as long as its module, or a graph whose backward pass may come.
layers = weakref.WeakValueDictionary()
_compiling = threading.Lock()


class Handle:
    """What an op calls: a layer's functions, compiled when they are first needed, and the pairs that wait for an optimizer."""

    def __init__(self, config, grad):
        self.config, self.grad, self.name = config, grad, ""
        self.pending, self.claimed, self.warned = [], False, False
        # Of the optimizer that has claimed the pairs: see its _Table; what it does after each backward pass.
        self.probe = self.after = None
        self._functions = {}
        self.number = next(_numbers)
        layers[self.number] = self

    def functions(self, device):
        with _compiling:
            if device not in self._functions:
                self._functions[device] = Functions(self.config.text(dense=self.grad == "dense"), device)
        return self._functions[device]

    def bound(self, parameters, device):
        functions = self.functions(device)
        functions.bind(zip(self.config.parameters, parameters))
        return functions

    def keep(self, pairs):
        """Pairs of one backward pass. Nobody else may change them: compiled graphs use buffers again."""
        if not self.claimed and self.pending:
            if not self.warned:
                self.warned = True
                warnings.warn(f"experts of {self.name or 'a layer'} have gradients that no optimizer takes: use peer.optim.AdamW or "
                              "grad=\"dense\"", stacklevel=2)
            self.pending.clear()
        self.pending.append(tuple(tensor.clone() for tensor in pairs))
        if self.probe is not None:
            # Without a look at what a GPU has yet to compute.
            finite = torch.stack([tensor.isfinite().all() for tensor in pairs if tensor.is_floating_point()]).all()
            was = torch.ones_like(self.probe) if self.probe.grad is None else self.probe.grad
            self.probe.grad = was.where(finite, torch.full_like(was, float("inf")))
        if self.after is not None:
            self.after()


def _handle(number):
    handle = layers.get(number)
    if handle is None:
        raise Error(f"there is no layer {number}: its module was deleted")
    return handle


_library = torch.library.Library("peer", "DEF")
_library.define("infer(Tensor x, Tensor[] parameters, int h, Tensor[] routed) -> Tensor", tags=(torch.Tag.pt2_compliant_tag,))
_library.define("forward(Tensor x, Tensor[] parameters, int h, Tensor[] routed) -> Tensor[]", tags=(torch.Tag.pt2_compliant_tag,))
# Pairs are kept beside the op, which nothing does where a CUDA graph is replayed: compilers leave it out of these. Older ones have no word for it.
_unsafe = (torch.Tag.cudagraph_unsafe,) if hasattr(torch.Tag, "cudagraph_unsafe") else ()
_library.define("backward(Tensor dy, Tensor x, Tensor[] saved, Tensor[] parameters, int h, Tensor[] routed) -> Tensor[]",
                tags=(torch.Tag.pt2_compliant_tag, *_unsafe))


def _check(x, handle):
    if x.dtype != torch.float32:
        raise Error(f"x is {x.dtype}, and the layer takes torch.float32: use x.float(), or torch.autocast")
    if x.dim() != 2 or x.shape[1] != handle.config.dim:
        raise Error(f"x has the shape {list(x.shape)}, expected [..., {handle.config.dim}]")


def _routed(handle, routed):
    """What the caller routes by, by name. Indices on a GPU are looked at there, by the work itself: a wrong one is an error of the device."""
    if routed and routed[0].is_cuda:
        torch._assert_async(((routed[0] >= -1) & (routed[0] < handle.config.num_experts)).all(), f"idx holds other values than -1 to {handle.config.num_experts - 1}")
    return dict(zip(handle.config.routed, routed))


def _infer(x, parameters, h, routed):
    handle = _handle(h)
    _check(x, handle)
    if x.shape[0] == 0:
        return torch.empty_like(x)
    functions = handle.bound(parameters, x.device)
    return functions.run("layer", {"x": x, **_routed(handle, routed)}, functions.empty_results("layer", x.shape[0], x))[0]


def _forward(x, parameters, h, routed):
    handle = _handle(h)
    _check(x, handle)
    functions = handle.bound(parameters, x.device)
    results = functions.empty_results("forward", x.shape[0], x)
    return functions.run("forward", {"x": x, **_routed(handle, routed)}, results) if x.shape[0] else results


def _named(functions, dy, x, saved):
    names = [result["name"] for result in functions.results("forward")][1:]
    return {"x": x, "dy": dy, **dict(zip(names, saved))}


def _rows_of(tensors, table, rows_per_expert):
    """The gradient as torch's sparse tensor: as large as the pairs' rows."""
    idx, coef, x, dy = tensors
    chosen = idx.reshape(idx.shape[0], -1)
    if rows_per_expert > 1:
        # Where no expert was chosen, factors are 0.
        rows = torch.arange(rows_per_expert, dtype=idx.dtype, device=idx.device)
        chosen = (chosen.clamp_min(0)[..., None] * rows_per_expert + rows).flatten(1)
    factors = coef.reshape(*chosen.shape, -1)
    vectors = [x] * (factors.shape[-1] - 1) + [dy]
    values = torch.stack([factors[..., f, None] * vector[:, None, :] for f, vector in enumerate(vectors)], dim=2)
    return torch.sparse_coo_tensor(chosen.reshape(1, -1).long(), values.flatten(0, 1), table.shape, check_invariants=False)


def _backward(dy, x, saved, parameters, h, routed):
    """dx, of the weights that the caller routes by, the gradients of the parameters in their order; of the table where there is one."""
    handle = _handle(h)
    if handle.grad == "rows" and calls.capturing(x.device):
        raise Error("a CUDA graph is being recorded, and the pairs of a table's gradient would be there once, and not at each replay: leave the backward "
                    "pass out of it, or use grad=\"dense\"")
    functions, tokens = handle.bound(parameters, x.device), x.shape[0]
    results = functions.empty_results("backward", tokens, x)
    inputs = {**_named(functions, dy.contiguous(), x, saved), **dict(zip(handle.config.routed, routed))}
    if tokens:
        functions.run("backward", inputs, results)
    else:
        results = [torch.zeros_like(result) for result in results]
    found = dict(zip((result["name"] for result in functions.results("backward")), results))
    gradients = [found["dx"]] + [found["dw"] for _ in routed[1:]] + [found[f"grad.{name}"] for name in handle.config.parameters if f"grad.{name}" in found]
    if handle.grad == "dense":
        return gradients
    named = {**inputs, **found}
    for pairs in functions.entries["backward"]["pairs"]:
        tensors = [named[pairs[part]] for part in PAIRS]
        if handle.grad == "coo":
            gradients.append(_rows_of(tensors, parameters[-1], handle.config.rows_per_expert))
        elif tokens:
            handle.keep(tensors)
    return gradients


for _name, _kernel in (("infer", _infer), ("forward", _forward), ("backward", _backward)):
    for _device in DEVICES:
        _library.impl(_name, _kernel, _device.upper())


@torch.library.register_fake("peer::infer", lib=_library)
def _(x, parameters, h, routed):
    return torch.empty_like(x)


@torch.library.register_fake("peer::forward", lib=_library)
def _(x, parameters, h, routed):
    return _handle(h).functions(x.device).empty_results("forward", x.shape[0], x)


@torch.library.register_fake("peer::backward", lib=_library)
def _(dy, x, saved, parameters, h, routed):
    handle = _handle(h)
    if handle.after is not None:
        raise Error("peer.optim.in_backward changes the table behind the compiler's back: without torch.compile, or with peer.optim.AdamW")
    count = len(parameters) if handle.grad == "dense" else len(parameters) - 1
    gradients = [torch.empty_like(each) for each in (x, *routed[1:])] + [torch.empty_like(parameter) for parameter in parameters[:count]]
    if handle.grad == "coo":
        rows = x.shape[0] * handle.config.heads * handle.config.experts_per_head * handle.config.rows_per_expert
        table = parameters[-1]
        gradients.append(torch.sparse_coo_tensor(x.new_empty([1, rows], dtype=torch.int64), x.new_empty([rows, *table.shape[1:]]),
                                                 table.shape))
    return gradients


def _setup(ctx, inputs, output):
    x, parameters, ctx.h, routed = inputs
    ctx.handle = layers.get(ctx.h)
    ctx.counts = len(parameters), len(routed)
    ctx.mark_non_differentiable(*output[1:])
    ctx.save_for_backward(x, *parameters, *routed, *output[1:])


def _differentiate(ctx, grads):
    x, *rest = ctx.saved_tensors
    count, more = ctx.counts
    parameters, routed, saved = rest[:count], rest[count:count + more], rest[count + more:]
    dx, *gradients = torch.ops.peer.backward(grads[0], x, saved, parameters, ctx.h, routed)
    dw = [None, gradients.pop(0)] if more else []
    return dx, gradients + [None] * (count - len(gradients)), None, dw


def _no_second_order(ctx, *grads):
    raise NotImplementedError("peer layers have no gradient of their gradient: leave create_graph out")


def _setup_none(ctx, inputs, output):
    pass


torch.library.register_autograd("peer::forward", _differentiate, setup_context=_setup, lib=_library)
torch.library.register_autograd("peer::backward", _no_second_order, setup_context=_setup_none, lib=_library)
for _name in ("infer", "forward"):
    for _device in DEVICES:
        torch.library.register_autocast(f"peer::{_name}", _device, torch.float32, lib=_library)
