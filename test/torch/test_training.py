"""Autograd, torch.compile and optimizers on layers."""
import copy

import pytest
from conftest import Block, layer, near, torch

import peer


@pytest.mark.parametrize("grad", ["rows", "dense"])
@pytest.mark.parametrize("tokens", [0, 1, 17])
def test_opcheck(grad, tokens):
    ours = layer(grad=grad)
    number, tensors = ours._handle.number, ours._tensors()
    x = torch.randn(tokens, 16)
    torch.library.opcheck(torch.ops.peer.infer.default, (x, [each.detach() for each in tensors], number, []))
    torch.library.opcheck(torch.ops.peer.forward.default, (x, [each.detach() for each in tensors], number, []))
    torch.library.opcheck(torch.ops.peer.forward.default, (x.requires_grad_(), tensors, number, []))
    y, *saved = torch.ops.peer.forward(x.detach(), [each.detach() for each in tensors], number, [])
    torch.library.opcheck(torch.ops.peer.backward.default, (y, x.detach(), saved, [each.detach() for each in tensors], number, []))


# gradcheck wants double precision, or steps so large that those of f32 are nothing beside them, as these are.
NUMERIC = {"eps": 1e-2, "atol": 2e-3, "rtol": 2e-2, "check_undefined_grad": False}


@pytest.mark.filterwarnings("ignore:Input .* requires gradient and is not a double")
def test_gradcheck():
    torch.manual_seed(0)
    ours = peer.Experts(4, num_experts=3, experts_per_token=2, hidden=2, grad="dense")
    idx, x, w = torch.tensor([[0, 2], [1, 0]]), torch.randn(2, 4, requires_grad=True), torch.rand(2, 2, requires_grad=True)
    with torch.no_grad():
        ours.experts.normal_()
    assert torch.autograd.gradcheck(lambda x, w, experts: torch.func.functional_call(ours, {"experts": experts}, (x, idx, w)), (x, w, ours.experts), **NUMERIC)
    # Of a layer that selects experts, where steps do not change which: keys lie apart.
    chosen = peer.PEER(4, num_experts=4, heads=1, experts_per_head=2, key_dim=2, query_bias=True, gated=True, grad="dense")
    with torch.no_grad():
        for parameter in chosen.parameters():
            parameter.normal_(std=0.5)
        chosen.query.bias.copy_(torch.tensor([1.0, 0.0, 0.0, 1.0]))
        chosen.keys.copy_(torch.tensor([[[[4.0, 0.0], [1.0, 0.0]], [[0.0, 2.0], [0.0, 1.0]]]]))
        chosen.query.weight.mul_(0.1)
    names, parameters = zip(*chosen.named_parameters())
    assert torch.autograd.gradcheck(lambda x, *given: torch.func.functional_call(chosen, dict(zip(names, given)), (x,)), (x, *parameters), **NUMERIC)


def test_functional_calls():
    ours, x = layer(grad="dense"), torch.randn(5, 16)
    given = {name: value.detach() * 2 for name, value in ours.named_parameters()}
    twin = copy.deepcopy(ours)
    twin.load_state_dict(given)
    near(torch.func.functional_call(ours, given, (x,)), twin(x), within=0)


def test_no_tokens():
    ours = layer(grad="dense")
    x = torch.randn(0, 16, requires_grad=True)
    ours(x).sum().backward()
    assert x.grad.shape == (0, 16) and not ours.experts.grad.any()
    assert ours(x.detach()).shape == (0, 16)


@pytest.mark.parametrize("grad", ["rows", "dense"])
def test_compile(grad):
    model = Block([layer(grad=grad), layer(grad=grad)])
    twin = copy.deepcopy(model)
    compiled = torch.compile(twin, fullgraph=True, backend="aot_eager")
    # Several token counts in a row.
    for tokens in (16, 24, 7):
        x, dy = torch.randn(tokens, 16), torch.randn(tokens, 16)
        inputs = [x.clone().requires_grad_() for _ in "ab"]
        for function, value in zip((model, compiled), inputs):
            function(value).backward(dy)
        near(inputs[1].grad, inputs[0].grad, "dx")
    for (name, ours), (_, theirs) in zip(twin.named_parameters(), model.named_parameters()):
        if theirs.grad is not None:
            near(ours.grad, theirs.grad, name)
    if grad == "rows":
        for ours, theirs in zip(twin.layers, model.layers):
            for one, other in zip(ours._handle.pending, theirs._handle.pending):
                assert all(torch.equal(a, b) for a, b in zip(one, other))


# A smaller one would multiply what gradients of this size, rounded, differ by.
EPSILON = 1e-4


def train(model, optimizers, steps, clip=None, parts=1):
    torch.manual_seed(2)
    for number in range(steps):
        if isinstance(optimizers[0], torch.optim.SparseAdam):
            # It adds epsilon before it corrects the second moment's bias, AdamW after it.
            optimizers[0].param_groups[0]["eps"] = EPSILON * (1 - 0.999**(number + 1))**0.5
        for optimizer in optimizers:
            optimizer.zero_grad()
        x, target = torch.randn(parts, 12, 16), torch.randn(parts, 12, 16)
        for part in range(parts):
            ((model(x[part]) - target[part])**2).mean().div(parts).backward()
        if clip:
            torch.nn.utils.clip_grad_norm_([layer.experts for layer in model.layers], clip)
        for optimizer in optimizers:
            optimizer.step()


def reference(model, rate, table_rate):
    """SparseAdam for the tables, AdamW for the rest."""
    tables = peer.tables(model)
    rest = [each for each in model.parameters() if all(each is not table for table in tables)]
    return [torch.optim.SparseAdam(tables, lr=table_rate), torch.optim.AdamW(rest, lr=rate, weight_decay=0.1, eps=EPSILON)]


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("parts", [1, 3])
def test_optimizer(shared, parts):
    ours = Block([layer(), layer()], shared)
    theirs = Block([layer(grad="coo"), layer(grad="coo")], shared)
    theirs.load_state_dict(ours.state_dict())
    optimizer = peer.optim.AdamW(ours, lr=1e-3, weight_decay=0.1, table_lr=4e-3, eps=EPSILON)
    train(ours, [optimizer], 20, parts=parts)
    train(theirs, reference(theirs, 1e-3, 4e-3), 20, parts=parts)
    for (name, mine), (_, other) in zip(ours.named_parameters(), theirs.named_parameters()):
        near(mine, other, name, within=1e-6)


@pytest.mark.parametrize("row", ["v", "uv", "guv"])
def test_rows_are_the_dense_gradient(row):
    rows, dense, coo = (layer(grad=grad, row=row) for grad in ("rows", "dense", "coo"))
    x, dy = torch.randn(9, 16), torch.randn(9, 16)
    for each in (rows, dense, coo):
        each(x).backward(dy)
    near(coo.experts.grad.to_dense(), dense.experts.grad)
    ((idx, coef, held, dy_held),) = rows._handle.pending
    assert coef.numel() == idx.numel() * dense.experts.shape[1] and torch.equal(held, x) and torch.equal(dy_held, dy)
    for one, other, name in zip(rows.parameters(), dense.parameters(), dict(rows.named_parameters())):
        if name != "experts":
            assert torch.equal(one.grad, other.grad), name


def test_untouched_rows_stay():
    ours = layer()
    optimizer = peer.optim.AdamW(ours, table_weight_decay=0.5)
    before = ours.experts.detach().clone()
    ours(torch.randn(2, 16)).sum().backward()
    touched = torch.zeros(64, dtype=torch.bool)
    touched[ours._handle.pending[0][0].flatten().long()] = True
    optimizer.step()
    moved = (ours.experts != before).flatten(1).any(1)
    assert torch.equal(moved, touched) and 0 < int(touched.sum()) < 64 and not ours._handle.pending


def test_clipping():
    ours, theirs = Block([layer()]), Block([layer(grad="coo")])
    theirs.load_state_dict(ours.state_dict())
    optimizer = peer.optim.AdamW(ours, lr=1e-3, weight_decay=0.1, table_clip_norm=0.01, eps=EPSILON)
    train(ours, [optimizer], 5)
    train(theirs, reference(theirs, 1e-3, 1e-3), 5, clip=0.01)
    near(ours.layers[0].experts, theirs.layers[0].experts, within=1e-6)


def test_optimizer_goes_on_from_its_state():
    one = Block([layer()])
    optimizer = peer.optim.AdamW(one)
    train(one, [optimizer], 3)
    two = copy.deepcopy(one)
    resumed = peer.optim.AdamW(two)
    resumed.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for model, each in ((one, optimizer), (two, resumed)):
        scheduler = torch.optim.lr_scheduler.ExponentialLR(each, 0.5)
        train(model, [each], 2)
        scheduler.step()
    for (name, mine), (_, other) in zip(one.named_parameters(), two.named_parameters()):
        assert torch.equal(mine, other), name


def test_only_the_table_trains():
    ours = layer().requires_grad_(False)
    optimizer = peer.optim.AdamW(ours)
    before = ours.experts.clone()
    ours(torch.randn(4, 16)).sum().backward()
    optimizer.step()
    assert not torch.equal(ours.experts, before)


def test_autocast_and_checkpointing():
    ours = layer()
    x = torch.randn(4, 16, requires_grad=True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert ours(x.bfloat16()).dtype == torch.float32
    ours._handle.pending.clear()
    torch.utils.checkpoint.checkpoint(ours, x, use_reentrant=False).sum().backward()
    assert len(ours._handle.pending) == 1


def test_no_breaks_in_graphs():
    model = Block([layer(), layer(grad="dense")])
    said = torch._dynamo.explain(model)(torch.randn(5, 16))
    assert said.graph_break_count == 0 and said.graph_count == 1
