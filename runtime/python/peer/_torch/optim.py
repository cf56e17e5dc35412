"""Optimizers that move the rows of tables that a step has touched, and those alone."""
import torch

from .._descriptions import adamw
from .._library import Error
from .calls import PAIRS, Functions
from .modules import Layered, layers_alive


class _Table:
    """A table and the layers that read it."""

    def __init__(self, parameter):
        self.parameter, self.handles, self.functions = parameter, [], {}
        # Stands for the pairs where gradients are seen from outside: its gradient is 1, infinite where pairs are, and scaled as all others.
        self.probe = torch.nn.Parameter(torch.zeros((), device=parameter.device))

    def claim(self, name, module):
        config, first = module.config, self.handles[0].config if self.handles else module.config
        if (config.heads, config.experts_per_head) != (first.heads, first.experts_per_head):
            raise Error(f"{name} shares its table with a layer that has {first.heads} heads of {first.experts_per_head} experts, and has "
                        f"{config.heads} of {config.experts_per_head} itself: give both the same, or grad=\"dense\"")
        handle = module._handle
        handle.name, handle.claimed, handle.probe = name, True, self.probe
        self.handles.append(handle)

    def take(self):
        """The pairs that wait, of all layers."""
        pairs = [each for handle in self.handles for each in handle.pending]
        return [torch.cat(tensors) for tensors in zip(*pairs)] if pairs else None

    def forget(self):
        self.probe.grad = None
        for handle in self.handles:
            handle.pending.clear()

    def of(self, optimizer):
        key = optimizer, self.parameter.device
        if key not in self.functions:
            self.functions[key] = Functions(self.handles[0].config.update_text(optimizer), self.parameter.device)
        return self.functions[key]


def _tables_of(model):
    """Those of a model's layers with grad="rows"."""
    found = {}
    for name, module in model.named_modules():
        if isinstance(module, Layered) and module.grad == "rows":
            found.setdefault(id(module.experts), _Table(module.experts)).claim(name, module)
    return list(found.values())


def _table_at(parameter):
    """That of a parameter, and the layers that read it, wherever they are."""
    readers = sorted((module for module in layers_alive() if module.experts is parameter), key=lambda module: module._handle.number)
    if not readers:
        raise Error(f"a tensor of the shape {list(getattr(parameter, 'shape', ()))} is the table of no layer; peer.tables(model) has a model's")
    if any(module.grad != "rows" for module in readers):
        raise Error(f"the table belongs to a layer with grad={readers[0].grad!r}, whose gradient any optimizer takes; expected grad=\"rows\"")
    table = _Table(parameter)
    for module in readers:
        table.claim(module._handle.name or "a layer", module)
    return table


def _positive(name, value):
    if value is not None and not value > 0:
        raise Error(f"{name} is {value}, expected a number above 0, or None")


def _loss_of(closure):
    """What the closure of a step computes, if there is one."""
    if closure is None:
        return None
    with torch.enable_grad():
        return closure()


class _Rows:
    """What optimizers of tables share; `_tables` has them, and parameter groups of tables are marked `lazy`."""

    def _lazy_group(self, lr, weight_decay, clip_norm, state_dtype):
        if state_dtype not in (torch.float32, torch.bfloat16):
            raise Error(f"the states of tables were to be {state_dtype}; expected torch.float32 or torch.bfloat16")
        # The probes are there for those who look at gradients, such as torch.amp.GradScaler.
        return {"params": [each for table in self._tables for each in (table.parameter, table.probe)], "lr": lr, "weight_decay": weight_decay,
                "lazy": True, "clip_norm": clip_norm, "state_dtype": state_dtype}

    def _waiting(self):
        """(table, pairs, what scales them, group) of all tables that have pairs."""
        known, found = {id(table.parameter): table for table in self._tables}, []
        for group in self.param_groups:
            for parameter in group["params"] if group.get("lazy") else ():
                table = known.get(id(parameter))
                if table is None:
                    continue
                pairs = table.take()
                if pairs:
                    found.append((table, pairs, 1.0 if table.probe.grad is None else float(table.probe.grad), group))
                table.probe.grad = None
        return found

    def _square(self, table, pairs, scale, group):
        functions = table.of(_spelled(group))
        return scale**2 * float(functions.run("norm", _inputs(pairs), functions.empty_results("norm", 0, table.parameter))[0])

    def _step_tables(self, waiting, factor=1.0):
        squares = {}
        for each in waiting:
            if each[3]["clip_norm"] is not None:
                squares[id(each[3])] = squares.get(id(each[3]), 0.0) + self._square(*each)
        for table, pairs, scale, group in waiting:
            if group["clip_norm"] is not None:
                scale *= min(1.0, group["clip_norm"] / (squares[id(group)]**0.5 + 1e-6))
            state = self.state[table.parameter]
            if not state:
                state["step"] = torch.zeros((), dtype=torch.float32)
            state["step"] += 1
            functions = table.of(_spelled(group))
            functions.bind([("experts", table.parameter), *_moments(state, table.parameter, group)])
            functions.run("update", {**_inputs(pairs), "learning_rate.experts": group["lr"], "step": state["step"], "scale": scale * factor}, [])
            # A graph that has saved the table must not go on with other values in silence.
            torch.autograd.graph.increment_version(table.parameter)
            table.forget()

    def zero_grad(self, set_to_none=True):
        super().zero_grad(set_to_none)
        for table in self._tables:
            table.forget()


def _inputs(pairs):
    return {f"experts.{part}": tensor for part, tensor in zip(PAIRS, pairs)}


def _spelled(group):
    beta1, beta2 = map(float, group["betas"])
    return adamw(beta1, beta2, group["eps"], group["weight_decay"], "bf16" if _state_dtype(group) == torch.bfloat16 else "f32")


def _state_dtype(group):
    # Groups of state dicts from before have none.
    return group.get("state_dtype", torch.float32)


def _moments(state, parameter, group):
    """(name in the artifact, tensor) of those that are kept: where beta1 is 0, the first is the gradient."""
    dtype = _state_dtype(group)
    for name, short in (("exp_avg", "m"), ("exp_avg_sq", "v"))[0 if float(group["betas"][0]) else 1:]:
        if name not in state:
            state[name] = torch.zeros_like(parameter, dtype=dtype)
        # torch's load_state_dict makes all states what the parameter is.
        state[name] = state[name].to(dtype)
        yield f"state:experts.{short}", state[name]


class AdamW(_Rows, torch.optim.AdamW):
    """AdamW (arXiv 1711.05101) for a model with layers of experts.

    Tables of layers with grad="rows" move row by row: their gradients wait as pairs of all backward passes since the last step, and a row that
    no token selected since then keeps its value and its moments, as with torch.optim.SparseAdam. Everything else is torch.optim.AdamW's.

    model                a torch.nn.Module
    lr, betas, eps, weight_decay      of all but the tables
    table_lr             of the tables; None: lr
    table_weight_decay   of the rows that a step touches
    table_clip_norm      the norm of the tables' gradients together is brought down to this; None: as it is
    table_state_dtype    of the tables' moments: torch.bfloat16 halves them, and they are rounded by chance, so that they are right on average
    clip_norm            the norm of all gradients together, the tables' among them, is brought down to this; None: as it is

    `zero_grad()` drops pairs that wait. `state_dict()` holds step, exp_avg and exp_avg_sq of tables as of all else, but no exp_avg where betas[0] is 0. torch.amp.GradScaler scales pairs,
    too, and leaves out the steps of pairs that are not finite; torch.nn.utils.clip_grad_norm_ does not see them: use clip_norm.
    """

    def __init__(self, model, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=1e-2, *, table_lr=None, table_weight_decay=0.0,
                 table_clip_norm=None, table_state_dtype=torch.float32, clip_norm=None, **rest):
        if not isinstance(model, torch.nn.Module):
            raise Error(f"the first argument is {type(model).__name__}, expected the model itself (a torch.nn.Module), whose layers know their "
                        "tables")
        _positive("table_clip_norm", table_clip_norm)
        _positive("clip_norm", clip_norm)
        if clip_norm is not None and table_clip_norm is not None:
            raise Error("clip_norm and table_clip_norm were both given: the first is of all gradients, the second of the tables' alone")
        self._tables, self._clip_norm = _tables_of(model), clip_norm
        lazy = {id(table.parameter) for table in self._tables}
        groups = [{"params": [p for p in model.parameters() if p.requires_grad and id(p) not in lazy]}]
        if self._tables:
            groups.append(self._lazy_group(lr if table_lr is None else table_lr, table_weight_decay, table_clip_norm, table_state_dtype))
        super().__init__([group for group in groups if group["params"]], lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, **rest)

    @torch.no_grad()
    def step(self, closure=None):
        loss = _loss_of(closure)
        waiting, factor = self._waiting(), 1.0
        if self._clip_norm is not None:
            dense = [p.grad for group in self.param_groups for p in group["params"] if p.grad is not None]
            squares = sum(float(torch.linalg.vector_norm(grad))**2 for grad in dense) + sum(self._square(*each) for each in waiting)
            factor = min(1.0, self._clip_norm / (squares**0.5 + 1e-6))
            for grad in dense if factor < 1 else ():
                grad.mul_(factor)
        super().step()
        self._step_tables(waiting, factor)
        return loss


class LazyAdamW(_Rows, torch.optim.Optimizer):
    """AdamW for tables alone, beside any other optimizer of the rest: rows that no token selected since the last step stay as they are.

    tables        peer.tables(model), or a model
    lr, betas, eps, weight_decay      as of AdamW; the decay is of the rows that a step touches
    clip_norm     the norm of the tables' gradients together is brought down to this; None: as it is
    state_dtype   of the moments, torch.float32 or torch.bfloat16, as AdamW's table_state_dtype
    """

    def __init__(self, tables, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0, *, clip_norm=None, state_dtype=torch.float32):
        _positive("clip_norm", clip_norm)
        if isinstance(tables, torch.nn.Module):
            self._tables = _tables_of(tables)
        else:
            self._tables = [_table_at(each) for each in ([tables] if isinstance(tables, torch.Tensor) else tables)]
        if not self._tables:
            raise Error("there is no table to optimize: no layer has grad=\"rows\"")
        super().__init__([self._lazy_group(lr, weight_decay, clip_norm, state_dtype)], {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure=None):
        loss = _loss_of(closure)
        self._step_tables(self._waiting())
        return loss


def in_backward(table, optimizer=LazyAdamW, **options):
    """Steps a table within each backward pass, so that no pairs wait. Returns the optimizer, whose state_dict checkpoints want.

    table      of one layer, which a forward pass calls once: one that two layers read is refused, since the second would read what the first changed
    optimizer  peer.optim.LazyAdamW, the only one that takes pairs; `options` are its arguments

    Not for gradient accumulation, GradScaler or torch.compile, which is refused.
    """
    if optimizer is not LazyAdamW:
        raise Error(f"in_backward steps with peer.optim.LazyAdamW, and not with {getattr(optimizer, '__name__', optimizer)}, which takes no pairs")
    made = LazyAdamW([table], **options)
    handles = made._tables[0].handles
    if len(handles) > 1:
        raise Error(f"the table is read by {len(handles)} layers, and a step within the backward pass of one would change what the others' "
                    "read: use peer.optim.AdamW")

    def step():
        if sum(module.experts is table for module in layers_alive()) > 1:
            raise Error("the table came to be read by a second layer since peer.optim.in_backward: use peer.optim.AdamW")
        made.step()
    handles[0].after = step
    return made
