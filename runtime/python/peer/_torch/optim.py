"""Optimizers that move the rows of tables that a step has touched, and those alone."""
import torch

from .._descriptions import adamw
from .._library import Error
from .calls import PAIRS, Functions
from .modules import PEER


class _Table:
    """A table and the layers that read it."""

    def __init__(self, parameter):
        self.parameter, self.handles, self.functions = parameter, [], {}

    def take(self):
        """The pairs that wait, of all layers."""
        pairs = [each for handle in self.handles for each in handle.pending]
        return [torch.cat(tensors) for tensors in zip(*pairs)] if pairs else None

    def forget(self):
        for handle in self.handles:
            handle.pending.clear()

    def of(self, optimizer):
        if optimizer not in self.functions:
            self.functions[optimizer] = Functions(self.handles[0].config.update_text(optimizer))
        return self.functions[optimizer]


def _find_tables(model):
    found = {}
    for name, module in model.named_modules():
        if isinstance(module, PEER) and module.grad == "rows":
            table = found.setdefault(id(module.experts), _Table(module.experts))
            config, first = module._handle.config, table.handles[0].config if table.handles else module._handle.config
            if (config.heads, config.experts_per_head) != (first.heads, first.experts_per_head):
                raise Error(f"{name} shares its table with a layer that has {first.heads} heads of {first.experts_per_head} experts, and has "
                            f"{config.heads} of {config.experts_per_head} itself: give both the same, or grad=\"dense\"")
            module._handle.name, module._handle.claimed = name, True
            table.handles.append(module._handle)
    return list(found.values())


class AdamW(torch.optim.AdamW):
    """AdamW (arXiv 1711.05101) for a model with layers of experts.

    Tables of layers with grad="rows" move row by row: their gradients wait as pairs of all backward passes since the last step, and a row that
    no token selected since then keeps its value and its moments, as with torch.optim.SparseAdam. Everything else is torch.optim.AdamW's.

    model                a torch.nn.Module
    lr, betas, eps, weight_decay      of all but the tables
    table_lr             of the tables; None: lr
    table_weight_decay   of the rows that a step touches
    table_clip_norm      the norm of the tables' gradients together is brought down to this; None: as it is

    `zero_grad()` drops pairs that wait. `state_dict()` holds step, exp_avg and exp_avg_sq of tables as of all else. torch.nn.utils.clip_grad_norm_ and
    torch.amp.GradScaler do not see pairs: use table_clip_norm, and bfloat16.
    """

    def __init__(self, model, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=1e-2, *, table_lr=None, table_weight_decay=0.0,
                 table_clip_norm=None, **rest):
        if not isinstance(model, torch.nn.Module):
            raise Error(f"the first argument is {type(model).__name__}, expected the model itself (a torch.nn.Module), whose layers know their "
                        "tables")
        if table_clip_norm is not None and not table_clip_norm > 0:
            raise Error(f"table_clip_norm is {table_clip_norm}, expected a number above 0, or None")
        self._tables = _find_tables(model)
        lazy = {id(table.parameter) for table in self._tables}
        groups = [{"params": [p for p in model.parameters() if p.requires_grad and id(p) not in lazy]}]
        if self._tables:
            groups.append({"params": [table.parameter for table in self._tables], "lr": lr if table_lr is None else table_lr,
                           "weight_decay": table_weight_decay, "lazy": True, "clip_norm": table_clip_norm})
        super().__init__([group for group in groups if group["params"]], lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, **rest)

    @torch.no_grad()
    def step(self, closure=None):
        loss = super().step(closure)
        known = {id(table.parameter): table for table in self._tables}
        for group in self.param_groups:
            if group.get("lazy"):
                self._step_tables([known[id(parameter)] for parameter in group["params"]], group)
        return loss

    def _step_tables(self, tables, group):
        beta1, beta2 = map(float, group["betas"])
        optimizer = adamw(beta1, beta2, group["eps"], group["weight_decay"])
        waiting = [(table, pairs) for table in tables if (pairs := table.take())]
        squares, scale = 0.0, 1.0
        for table, pairs in waiting if group["clip_norm"] is not None else ():
            functions = table.of(optimizer)
            squares += float(functions.run("norm", self._inputs(pairs), functions.empty_results("norm", 0, table.parameter))[0])
        if group["clip_norm"] is not None:
            scale = min(1.0, group["clip_norm"] / (squares**0.5 + 1e-6))
        for table, pairs in waiting:
            state = self.state[table.parameter]
            if not state:
                state["step"] = torch.zeros((), dtype=torch.float32)
                state["exp_avg"] = torch.zeros_like(table.parameter)
                state["exp_avg_sq"] = torch.zeros_like(table.parameter)
            state["step"] += 1
            functions = table.of(optimizer)
            functions.bind([("experts", table.parameter), ("state:experts.m", state["exp_avg"]), ("state:experts.v", state["exp_avg_sq"])])
            functions.run("update", {**self._inputs(pairs), "learning_rate.experts": group["lr"], "step": state["step"], "scale": scale}, [])
            table.forget()

    @staticmethod
    def _inputs(pairs):
        return {f"experts.{part}": tensor for part, tensor in zip(PAIRS, pairs)}

    def zero_grad(self, set_to_none=True):
        super().zero_grad(set_to_none)
        for table in self._tables:
            table.forget()
