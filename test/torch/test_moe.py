"""Mixtures of networks against module code written from the published definitions."""
import copy
import types

import pytest
from conftest import near, torch

import peer

SIZES = {"num_experts": 8, "experts_per_token": 2, "hidden": 6}


class MixtralExperts(torch.nn.Module):
    """transformers' layout: gate_up_proj [E, 2*I, H], down_proj [E, H, I]; y = sum of w * down(act(gate) * up)."""

    def __init__(self, act=torch.nn.SiLU, width=16, count=8, hidden=6):
        super().__init__()
        torch.manual_seed(4)
        self.gate_up_proj = torch.nn.Parameter(torch.randn(count, 2 * hidden, width) * 0.3)
        self.down_proj = torch.nn.Parameter(torch.randn(count, width, hidden) * 0.3)
        self.act_fn, self.config = act(), types.SimpleNamespace(num_experts_per_tok=2)

    def forward(self, hidden_states, top_k_index, top_k_weights):
        gate, up = torch.einsum("th,tkih->tki", hidden_states, self.gate_up_proj[top_k_index]).chunk(2, -1)
        return torch.einsum("tki,tkhi,tk->th", self.act_fn(gate) * up, self.down_proj[top_k_index], top_k_weights)


MixtralExperts.__module__ = "transformers.models.mixtral.modeling_mixtral"


class Routed(torch.nn.Module):
    """A router before experts; `raw`: weights are of the softmax over all, not of that over the chosen."""

    def __init__(self, experts, raw=False):
        super().__init__()
        self.gate, self.experts, self.raw = torch.nn.Linear(16, 8, bias=False), experts, raw

    def forward(self, x):
        weights, chosen = self.gate(x).softmax(-1).topk(2, dim=-1)
        return self.experts(x, chosen, weights if self.raw else weights / weights.sum(-1, keepdim=True))


@pytest.mark.parametrize("act", [torch.nn.SiLU, torch.nn.GELU, torch.nn.ReLU])
@pytest.mark.parametrize("grad", ["dense", "coo", "rows"])
def test_experts_of_transformers(act, grad):
    theirs = Routed(MixtralExperts(act))
    ours = peer.replace(copy.deepcopy(theirs), grad=grad, verbose=False)
    assert isinstance(ours.experts, peer.Experts)
    for name, value in peer.to_original(ours.experts).items():
        assert torch.equal(value, theirs.experts.get_parameter(name)), name
    x, dy = torch.randn(9, 16), torch.randn(9, 16)
    inputs = [x.clone().requires_grad_() for _ in "ab"]
    results = [model(value) for model, value in zip((theirs, ours), inputs)]
    near(results[1], results[0])
    for result in results:
        result.backward(dy)
    near(inputs[1].grad, inputs[0].grad, "dx")
    near(ours.gate.weight.grad, theirs.gate.weight.grad, "router", within=5e-6)
    if grad == "rows":
        assert ours.experts.experts.grad is None and len(ours.experts._handle.pending) == 1
        return
    wanted = peer.replace(copy.deepcopy(theirs), grad="dense", verbose=False)
    wanted.experts.load_state_dict({name: each.grad for name, each in theirs.experts.named_parameters()})
    near(ours.experts.experts.grad.to_dense(), wanted.experts.experts)


@pytest.mark.parametrize("gate, raw", [("softmax", False), ("probability", True)])
def test_with_its_router(gate, raw):
    theirs = Routed(MixtralExperts(), raw)
    ours = peer.MoE(16, gate=gate, grad="dense", **SIZES)
    with torch.no_grad():
        ours.router.copy_(theirs.gate.weight)
        ours.experts.copy_(peer.replace(copy.deepcopy(theirs.experts), verbose=False).experts)
    x, dy = torch.randn(2, 5, 16), torch.randn(2, 5, 16)
    inputs = [x.clone().requires_grad_() for _ in "ab"]
    y = ours(inputs[0])
    y.backward(dy)
    wanted = theirs(inputs[1].flatten(0, 1)).view(2, 5, 16)
    wanted.backward(dy)
    near(y, wanted)
    near(inputs[0].grad, inputs[1].grad, "dx")
    near(ours.router.grad.view(8, 16), theirs.gate.weight.grad, "router", within=5e-6)


def test_trains():
    ours, theirs = (peer.MoE(16, grad=grad, **SIZES) for grad in ("rows", "coo"))
    theirs.load_state_dict(ours.state_dict())
    optimizer = peer.optim.AdamW(ours, lr=1e-2, weight_decay=0, eps=1e-6)
    others = [torch.optim.SparseAdam([theirs.experts], lr=1e-2), torch.optim.AdamW([theirs.router], lr=1e-2, weight_decay=0, eps=1e-6)]
    for step in range(5):
        x = torch.randn(12, 16)
        # It adds epsilon before it corrects the second moment's bias.
        others[0].param_groups[0]["eps"] = 1e-6 * (1 - 0.999**(step + 1))**0.5
        for model, optimizers in ((ours, [optimizer]), (theirs, others)):
            (model(x) - x).square().mean().backward()
            for each in optimizers:
                each.step()
                each.zero_grad()
    near(ours.experts, theirs.experts, within=2e-5)
    near(ours.router, theirs.router, within=2e-5)


def test_opcheck_and_compile():
    ours = peer.Experts(16, grad="dense", **SIZES)
    x, w = torch.randn(5, 16, requires_grad=True), torch.rand(5, 1, 2, requires_grad=True)
    idx = torch.randint(8, (5, 1, 2), dtype=torch.int32)
    torch.library.opcheck(torch.ops.peer.forward.default, (x, [ours.experts], ours._handle.number, [idx, w]))
    compiled = torch.compile(ours, fullgraph=True, backend="aot_eager")
    near(compiled(x, idx[:, 0].long(), w[:, 0]), ours(x, idx[:, 0].long(), w[:, 0]))


def test_mistakes(capsys):
    x, ours = torch.randn(3, 16), peer.Experts(16, **SIZES)
    with pytest.raises(peer.Error, match=r"idx has the shape \[3, 1\], expected \[3, 2\]"):
        ours(x, torch.zeros(3, 1, dtype=torch.long), torch.ones(3, 2))
    with pytest.raises(peer.Error, match='input "idx" holds 8 at position .*, expected values in'):
        ours(x, torch.full((3, 2), 8), torch.ones(3, 2))
    with pytest.raises(peer.Error, match="experts_per_token is 9, and there are 8 experts"):
        peer.MoE(16, **{**SIZES, "experts_per_token": 9})
    with pytest.raises(peer.Error, match="gate is 'top'; it can be 'softmax', 'probability', 'sigmoid'"):
        peer.MoE(16, gate="top", **SIZES)
    with pytest.raises(peer.Error, match="hidden is 0; expected a whole number"):
        peer.MoE(16, **{**SIZES, "hidden": 0})
    biased, tanh = MixtralExperts(), MixtralExperts(torch.nn.Tanh)
    biased.has_bias = True
    peer.replace(torch.nn.ModuleList([biased, tanh]))
    said = capsys.readouterr().out
    assert "peer: 0 (MixtralExperts) left: MixtralExperts has biases, which layers do not have" in said
    assert "peer: 1 (MixtralExperts) left: MixtralExperts has the activation Tanh; silu, gelu and relu can be had" in said


def test_the_switch_of_transformers():
    """What transformers calls is told apart from its own experts by nothing."""
    from peer._torch.experts import experts_forward
    theirs = MixtralExperts()
    idx, w = torch.tensor([[0, 1], [7, 3], [2, 2], [5, 6]]), torch.rand(4, 2)
    inputs = [torch.randn(4, 16).requires_grad_()]
    inputs.append(inputs[0].detach().clone().requires_grad_())
    results = []
    for call, x in zip((theirs.forward, lambda *given: experts_forward(theirs, *given)), inputs):
        theirs.zero_grad()
        y = call(x, idx, w)
        y.square().sum().backward()
        results.append((y, x.grad, theirs.gate_up_proj.grad, theirs.down_proj.grad))
    for made, wanted in zip(results[1], results[0]):
        near(made, wanted, within=5e-6)
    with torch.no_grad():
        for _ in range(2):
            near(experts_forward(theirs, inputs[0], idx, w), theirs(inputs[0], idx, w))
            # What was kept is of other weights now.
            theirs.down_proj.mul_(2)
        # An expert that is none.
        near(experts_forward(theirs, inputs[0], idx.where(idx != 7, torch.tensor(8)), w), theirs(inputs[0], idx, w * (idx != 7)))
    with pytest.raises(peer.Error, match="MixtralExperts has the activation Tanh"):
        experts_forward(MixtralExperts(torch.nn.Tanh), inputs[0], idx, w)


def test_with_transformers():
    transformers = pytest.importorskip("transformers")
    import peer.transformers  # noqa: F401
    torch.manual_seed(7)
    config = transformers.MixtralConfig(vocab_size=65, hidden_size=16, intermediate_size=12, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1,
                                        num_local_experts=4, max_position_embeddings=32)
    model = transformers.MixtralForCausalLM(config).eval()
    given = torch.randint(65, (2, 8))
    with torch.no_grad():
        wanted = model(given).logits
        model.set_experts_implementation("peer")
        near(model(given).logits, wanted, within=1e-5)
    peer.replace(model, verbose=False)
    exported = peer.export(model, given, train=False, use_cache=False)
    near(torch.from_dlpack(exported.compile().logits(given.flatten().to(torch.int32))).view(wanted.shape), wanted, within=1e-5)
