"""Layers as modules of torch."""
import functools
import weakref

import torch

from .._descriptions import Experts as _Experts
from .._descriptions import Layer
from .._library import Error
from . import ops
from .calls import refuse_others

GRADS = ("rows", "coo", "dense")
_alive = weakref.WeakSet()


def layers_alive():
    """All modules that there are, of whatever model."""
    return list(_alive)


class _Parameters(torch.nn.Module):
    """Parameters under one name, such as query.weight."""

    def __init__(self, **tensors):
        super().__init__()
        for name, tensor in tensors.items():
            self.register_parameter(name, torch.nn.Parameter(tensor))


class Layered(torch.nn.Module):
    """What modules of compiled layers have in common: the parameters of `config`, the table `experts` among them."""

    def __init__(self, config, grad):
        super().__init__()
        if grad not in GRADS:
            raise Error(f"grad is {grad!r}; it can be {', '.join(map(repr, GRADS))}")
        self.config, self.grad = config, grad
        self._paths = [name.split(".") for name in config.parameters]

    def _made(self):
        """When the parameters are there."""
        self._open()
        if self.experts.device.type != "meta":
            self.reset_parameters()

    def _open(self):
        self._handle = ops.Handle(self.config, self.grad)
        _alive.add(self)

    def _tensors(self):
        # Not by get_parameter: torch.func.functional_call puts tensors in the parameters' place.
        return [functools.reduce(getattr, path, self) for path in self._paths]

    def _call(self, x, routed=()):
        if x.shape[-1] != self.config.dim:
            raise Error(f"x has the shape {list(x.shape)}, expected [..., {self.config.dim}]")
        refuse_others(x, "x")
        flat, tensors, routed = x.reshape(-1, self.config.dim), self._tensors(), list(routed)
        if torch.is_grad_enabled() and self._handle.claimed and not flat.requires_grad:
            # The table has no gradient that autograd knows of, and may be all that trains.
            flat = flat.detach().requires_grad_()
        if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in (flat, *tensors, *routed)):
            y = torch.ops.peer.forward(flat, tensors, self._handle.number, routed)[0]
        else:
            y = torch.ops.peer.infer(flat, tensors, self._handle.number, routed)
        return y.reshape(x.shape)

    # A copy computes with functions of its own; pairs that wait belong to the original.
    def __getstate__(self):
        return {name: value for name, value in self.__dict__.items() if name != "_handle"}

    def __setstate__(self, state):
        super().__setstate__(state)
        self._open()

    def _load_from_state_dict(self, state_dict, prefix, *rest):
        from .originals import adopt
        adopt(self, state_dict, prefix)
        super()._load_from_state_dict(state_dict, prefix, *rest)


class PEER(Layered):
    """A layer of very many experts of one neuron each, chosen by product keys (arXiv 2407.04153).

    y = sum over heads and the chosen of gate(score) * act(u . x) * v, with the rows (u, v) of `experts`. Takes f32 [..., dim], gives the same shape.

    dim                width of the model, D
    num_experts        N, a square
    heads              H
    experts_per_head   k, chosen by each head
    key_dim            d, of one half of a key; None: dim // 2
    gate               "softmax" over the chosen of a head, "relu", "sigmoid" of each, "one"
    activation         "gelu" (exact), "silu", "relu"
    query_norm         None, "layer": a layer norm of each half of a query
    pre_norm           None, "rms": of x, as experts and queries see it
    shared_keys        all heads have the same keys
    row                "uv"; "v": a row is what it adds (product-key memory); "guv": gated, act(g . x) * (u . x) * v
    query_bias         queries are linear . x + bias
    value_proj         of rows "v": None; "linear", a linear layer of their sum; "swilu", linear(sum * silu(linear(x))) (Memory+, arXiv 2412.09764)
    value_dim          width of rows "v" where value_proj is there; None: dim
    gated              y times sigmoid of a linear layer to one number
    grad               of the table: "rows" (pairs, which peer.optim.AdamW takes; `experts.grad` stays None), "coo" (torch's sparse tensor, for
                       torch.optim.SparseAdam), "dense" (N x rows x D, for any optimizer)

    Parameters: query.weight [D, H*2*d], keys [H, 2, sqrt(N), d], experts [N, 2, D] (1 or 3 for other rows), norm.weight [D],
    query_norm.weight and .bias [d], query.bias [H*2*d], those of torch's linear layers swilu_projection, value_proj and gating; their files are
    what peer-run reads, too. Raises peer.Error for what it cannot be.
    """

    # The kind of layer in files that `replace` made it of; whether its table is an earlier layer's.
    origin, shares_table = None, False

    def __init__(self, dim, *, num_experts=1024**2, heads=8, experts_per_head=16, key_dim=None, gate="softmax", activation="gelu",
                 query_norm=None, pre_norm=None, shared_keys=False, row="uv", grad="rows", norm_epsilon=1e-5, query_bias=False, value_proj=None,
                 value_dim=None, gated=False, device=None, dtype=None):
        if dtype not in (None, torch.float32):
            raise Error(f"dtype is {dtype}; layers compute in torch.float32")
        super().__init__(Layer(dim, num_experts, heads, experts_per_head, dim // 2 if key_dim is None else key_dim, gate, activation, row,
                               shared_keys, query_norm, pre_norm, norm_epsilon, query_bias, value_dim, value_proj, gated), grad)
        shapes = self.config.parameters

        def make(name):
            return torch.empty(shapes[name], device=device, dtype=torch.float32)
        if pre_norm:
            self.norm = _Parameters(weight=make("norm.weight"))
        self.query = _Parameters(weight=make("query.weight"), **({"bias": make("query.bias")} if query_bias else {}))
        if query_norm:
            self.query_norm = _Parameters(weight=make("query_norm.weight"), bias=make("query_norm.bias"))
        self.keys = torch.nn.Parameter(make("keys"))
        for name in ("swilu_projection", "value_proj", "gating"):
            if f"{name}.weight" in shapes:
                setattr(self, name, _Parameters(weight=make(f"{name}.weight"), bias=make(f"{name}.bias")))
        # Whoever distributes or optimizes what requires a gradient leaves the table alone: it has none of its shape.
        self.experts = torch.nn.Parameter(make("experts"), requires_grad=grad != "rows")
        self._made()

    @torch.no_grad()
    def reset_parameters(self):
        """Queries, keys and linear layers of variance 1 / width, experts of deviation 0.02, norms of one, biases of zero."""
        for name, parameter in self.named_parameters():
            if name.endswith("norm.weight"):
                parameter.fill_(1)
            elif name.endswith(".bias"):
                parameter.zero_()
            else:
                std = {"query.weight": self.config.dim**-0.5, "experts": 0.02}.get(name, parameter.shape[-1]**-0.5)
                parameter.normal_(std=std)

    def forward(self, x):
        return self._call(x)

    def extra_repr(self):
        config = self.config
        return (f"{config.dim}, num_experts={config.num_experts}, heads={config.heads}, experts_per_head={config.experts_per_head}, "
                f"key_dim={config.key_dim}, row={config.rows!r}, grad={self.grad!r}" +
                "".join(f", {name}={getattr(config, name)!r}" for name in ("query_bias", "value_proj", "value_dim", "gated") if getattr(config, name)))


class PKM(PEER):
    """A product-key memory (arXiv 1907.05242): PEER(row="v") with 4 heads of 32 values each and a layer norm of the queries. The row of a value
    is what it adds: y = sum of gate(score) * v."""

    def __init__(self, dim, *, heads=4, experts_per_head=32, query_norm="layer", row="v", **rest):
        super().__init__(dim, heads=heads, experts_per_head=experts_per_head, query_norm=query_norm, row=row, **rest)


class Experts(Layered):
    """Experts that are networks of `hidden` units each, for a router of yours: y = sum over the k of a token of w * expert(x).

    dim, num_experts     D, E
    experts_per_token    k, of each token
    hidden               units of an expert, I
    activation           "silu", "gelu" (exact), "relu"
    row                  "guv": gated (SwiGLU with silu), act(g . x) * (u . x) * v; "uv": act(u . x) * v
    grad                 as of PEER

    `forward(x, idx, w)` takes f32 [..., D], whole numbers [..., k] in [0, E) (-1: none), f32 [..., k], and gives f32 [..., D]; the weights w have a
    gradient. Parameter: experts [E*I, 3, D], the rows of an expert one after the other. Raises peer.Error for what it cannot be.
    """

    def __init__(self, dim, *, num_experts, experts_per_token, hidden, activation="silu", row="guv", grad="rows", device=None):
        super().__init__(_Experts(dim, num_experts, experts_per_token, hidden, None, activation, row), grad)
        self._fill(device)

    def _fill(self, device):
        shapes = self.config.parameters
        if "router" in shapes:
            self.router = torch.nn.Parameter(torch.empty(shapes["router"], device=device))
        self.experts = torch.nn.Parameter(torch.empty(shapes["experts"], device=device), requires_grad=self.grad != "rows")
        self._made()

    @torch.no_grad()
    def reset_parameters(self):
        """A router of variance 1 / width, experts of deviation 0.02."""
        for name, parameter in self.named_parameters():
            parameter.normal_(std={"router": self.config.dim**-0.5, "experts": 0.02}[name])

    def forward(self, x, idx, w):
        wanted = (*x.shape[:-1], self.config.experts_per_head)
        for name, tensor in (("idx", idx), ("w", w)):
            if tuple(tensor.shape) != wanted:
                raise Error(f"{name} has the shape {list(tensor.shape)}, expected {list(wanted)}")
        flat = (-1, 1, self.config.experts_per_head)
        return self._call(x, [idx.reshape(flat).to(torch.int32), w.reshape(flat)])

    def extra_repr(self):
        config = self.config
        gate = f"gate={config.gate!r}, " if config.gate else ""
        return (f"{config.dim}, num_experts={config.num_experts}, experts_per_token={config.experts_per_head}, hidden={config.rows_per_expert}, "
                f"{gate}row={config.rows!r}, grad={self.grad!r}")


class MoE(Experts):
    """A mixture of experts that are networks of `hidden` units each, with its router: scores are router . x, the k best are chosen.

    dim, num_experts, experts_per_token, hidden, activation, row, grad      as of Experts
    gate      "softmax": over the chosen, so that weights sum to 1 (Mixtral); "probability": over all experts, as it is (Switch, OLMoE);
              "sigmoid": of each score

    Takes f32 [..., D], gives the same shape. Parameters: router [1, 1, E, D], experts [E*I, 3, D].
    """

    def __init__(self, dim, *, num_experts, experts_per_token, hidden, gate="softmax", activation="silu", row="guv", grad="rows", device=None):
        if gate is None:
            raise Error("gate is None; peer.Experts are the experts without a router")
        Layered.__init__(self, _Experts(dim, num_experts, experts_per_token, hidden, gate, activation, row), grad)
        self._fill(device)

    def forward(self, x):
        return self._call(x)


def tables(model):
    """The tables of a model's layers, each once: what other optimizers, or wrappers such as FSDP, have to leave out."""
    found = {id(module.experts): module.experts for module in model.modules() if isinstance(module, Layered)}
    return list(found.values())
