"""Meta's HashingMemory and layers with biases against what replaces them."""
import copy
import os

import pytest
from conftest import near, original, torch
from hashing import HashingMemory
from test_convert import converted, run, safetensors

import peer

VARIANTS = [{}, {"mem_query_bias": False}, {"mem_gated": True, "mem_v_dim": 6}, {"swilu_projection": False}, {"swilu_projection": False, "mem_v_dim": 6},
            {"swilu_projection": False, "mem_v_dim": 20, "mem_gated": True}, {"peer_variant": True}, {"peer_variant": True, "swilu_projection": False, "mem_gated": True}]


def with_bias(kind):
    """A layer of lucidrains' whose queries have a bias."""
    made = original(kind, **({"non_competing_scores": False} if kind == "peer" else {}))
    linear = made.to_queries[0] if kind == "peer" else made.to_queries
    linear.bias = torch.nn.Parameter(torch.randn(linear.out_features))
    return made


def agree(theirs, grad="dense"):
    """The layer that replaces a copy of it: forward and every gradient are the same."""
    ours = peer.replace(copy.deepcopy(theirs), grad=grad, verbose=False)
    assert isinstance(ours, peer.PEER)
    x, dy = torch.randn(2, 9, 16), torch.randn(2, 9, 16)
    inputs = [x.clone().requires_grad_() for _ in "ab"]
    results = [module(given) for module, given in zip((theirs, ours), inputs)]
    for result in results:
        result.backward(dy)
    near(results[1], results[0], "y")
    near(inputs[1].grad, inputs[0].grad, "dx", within=5e-6)
    # Gradients are mapped as values are.
    wanted = copy.deepcopy(ours)
    wanted.load_state_dict({name: torch.zeros_like(each) if each.grad is None else each.grad for name, each in theirs.named_parameters()})
    for name, parameter in ours.named_parameters():
        idle = name not in ours.config.parameters
        assert idle == (parameter.grad is None), name
        if not idle:
            given = parameter.grad.to_dense() if parameter.grad.is_sparse else parameter.grad
            near(given, wanted.get_parameter(name), name, within=5e-6)
    return ours


@pytest.mark.parametrize("options", VARIANTS, ids=str)
def test_forward_gradients_and_state_dicts(options):
    theirs = HashingMemory(**options)
    ours = agree(theirs)
    back, state = peer.to_original(ours), theirs.state_dict()
    assert set(back) == set(state) and all(torch.equal(back[name], state[name]) for name in state)
    # Ours and theirs load into the layer, too.
    for given in (state, ours.state_dict()):
        again = peer.replace(HashingMemory(**options), verbose=False)
        with torch.no_grad():
            for parameter in again.parameters():
                parameter.fill_(7)
        again.load_state_dict(given)
        assert all(torch.equal(value, ours.state_dict()[name]) for name, value in again.state_dict().items())


@pytest.mark.parametrize("kind", ["peer", "pkm"])
def test_biases_of_lucidrains(kind, tmp_path):
    theirs = with_bias(kind)
    ours = agree(theirs, "coo")
    back, state = peer.to_original(ours), theirs.state_dict()
    assert set(back) == set(state) and all(torch.equal(back[name], state[name]) for name in state)
    safetensors.save_file({name: value.contiguous() for name, value in state.items()}, tmp_path / "model.safetensors")
    assert converted(tmp_path, "--experts-per-head", "4", "--gate", "softmax") == 0
    x = torch.randn(5, 16)
    near(run(tmp_path, x), theirs(x[None])[0])
    os.replace(tmp_path / "w.safetensors", tmp_path / "model.safetensors")
    assert converted(tmp_path, "--back", out=False) == 0
    back = safetensors.load_file(tmp_path / "w.safetensors")
    assert set(back) == set(state) and all(torch.equal(back[name], state[name]) for name in state)


@pytest.mark.parametrize("options", VARIANTS[2:8:2] + [{"peer_variant": True, "swilu_projection": False}], ids=str)
def test_files(options, tmp_path, capsys):
    theirs = HashingMemory(**options)
    state = {f"layers.1.{name}": value.contiguous() for name, value in theirs.state_dict().items()}
    safetensors.save_file({**state, "norm.weight": torch.ones(16)}, tmp_path / "model.safetensors")
    assert converted(tmp_path, "--experts-per-head", "4") == 0
    said = capsys.readouterr().out
    assert 'meta-memory at "layers.1."' in said
    idle = [name for name in theirs.state_dict() if options.get("peer_variant") and name.split(".")[0] in ("value_proj", "swilu_projection")]
    assert ("left out, since experts of two vectors are not projected: " + ", ".join(idle) in said) == bool(idle)
    x = torch.randn(5, 16)
    near(run(tmp_path, x), theirs(x))
    # Back, from the converted file and from that of the replaced module.
    os.replace(tmp_path / "w.safetensors", tmp_path / "model.safetensors")
    files = [({name.removeprefix("layers.1."): value for name, value in state.items() if name.removeprefix("layers.1.") not in idle}, None),
             (theirs.state_dict(), peer.replace(copy.deepcopy(theirs), verbose=False))]
    for wanted, module in files:
        if module is not None:
            safetensors.save_file(module.state_dict(), tmp_path / "model.safetensors")
        assert converted(tmp_path, "--back", "--kind", "meta-memory", out=False) == 0
        back = safetensors.load_file(tmp_path / "w.safetensors")
        assert set(back) == set(wanted) and all(torch.equal(back[name], wanted[name]) for name in wanted)


def test_shared_values_train_as_one(capsys):
    first = HashingMemory()
    model = torch.nn.Sequential(first, HashingMemory(values=first.values), HashingMemory(values=False))
    model[2].values = None
    old = torch.nn.Sequential(*copy.deepcopy(model)[:2])
    ours = peer.replace(model)
    said = capsys.readouterr().out
    assert "row='v', grad='rows', query_bias=True, value_proj='swilu')\n" in said
    assert "value_proj='swilu'), its table that of a layer before\n" in said
    assert "peer: 2 (HashingMemory) left: HashingMemory has no values yet: it shares those of another (mem_share_values), so set .values" in said
    ours = torch.nn.Sequential(*ours[:2])
    assert ours[1].experts is ours[0].experts and len(peer.tables(ours)) == 1
    assert ours[0].experts.pk_value_param and ours[0].experts.fixed_lr == 0.001
    # A checkpoint that has shared values once.
    state = {name: value for name, value in old.state_dict().items() if name != "1.values.weight"}
    with torch.no_grad():
        ours[0].experts.zero_()
    ours.load_state_dict(state)
    values, others = [old[0].values.weight], [each for name, each in old.named_parameters() if not name.endswith("values.weight")]
    # SparseAdam's epsilon is not scaled as Adam's is.
    steps = [torch.optim.SGD(others, lr=0.1), torch.optim.SparseAdam(values, lr=0.01, eps=1e-16)]
    optimizers = [peer.optim.LazyAdamW(peer.tables(ours), lr=0.01, eps=1e-16),
                  torch.optim.SGD([each for name, each in ours.named_parameters() if not name.endswith("experts")], lr=0.1)]
    for _ in range(2):
        x = torch.randn(2, 9, 16)
        for model, used in ((old, steps), (ours, optimizers)):
            for each in used:
                each.zero_grad()
            model(x).square().mean().backward()
            if model is old:
                values[0].grad = values[0].grad.to_sparse(1)
            for each in used:
                each.step()
    for name, value in peer.to_original(ours[1]).items():
        near(value, old[1].state_dict()[name], name, within=2e-5)


def test_tables_of_bf16_are_widened(capsys):
    theirs = HashingMemory()
    theirs.values.to(torch.bfloat16)
    ours = peer.replace(copy.deepcopy(theirs))
    assert "value_proj='swilu'), its table widened to f32\n" in capsys.readouterr().out
    x = torch.randn(2, 3, 16)
    near(ours(x), theirs(x))
    theirs.load_state_dict(peer.to_original(ours))


def test_refused(tmp_path, capsys):
    class Normed(HashingMemory):
        def __init__(self):
            super().__init__()
            self.query_norm = torch.nn.LayerNorm(8)
    Normed.__qualname__ = "HashingMemory"
    other = type("HashingMemory", (torch.nn.Module,), {})
    sharded = HashingMemory()
    sharded.keys.placements = ()
    for module, fault in [
            (HashingMemory(mem_query_batchnorm=True), "has a batch norm of queries, whose statistics layers do not keep"),
            (HashingMemory(mem_query_dropout=0.5), "has dropout 0.5, which is not done inside of a layer; set it to 0"),
            (HashingMemory(output_dim=8), "gives 8 numbers for 16; layers give as many as they take"),
            (HashingMemory(mem_knn=9), "experts_per_head is 9, and there are 8 keys in each half"),
            (HashingMemory().to(torch.bfloat16), "has parameters of torch.bfloat16; layers compute in torch.float32"),
            (Normed(), "has query_norm.weight, query_norm.bias, which that of facebookresearch/memory does not have"),
            (sharded, "has sharded parameters; replace it before they are"),
            (other(), "lacks input_dim, output_dim, heads, ")]:
        assert peer.replace(module) is module
        assert f"peer: the model ({type(module).__qualname__}) left: " in (said := capsys.readouterr().out) and fault in said
    for fault, options in [("value_proj is 'swilu' and row is 'uv'", {"value_proj": "swilu"}), ("value_dim is 8 and dim is 16", {"row": "v", "value_dim": 8}),
                           ("value_proj is 'silu'; it can be None, 'linear', 'swilu'", {"row": "v", "value_proj": "silu"}),
                           ("value_dim is 0; expected a whole number of at least 1", {"row": "v", "value_dim": 0})]:
        with pytest.raises(peer.Error, match=fault):
            peer.PEER(16, num_experts=64, **options)
    with pytest.raises(peer.Error, match="a layer with a norm of its input is none of lucidrains' PEER or PKM, nor Meta's HashingMemory"):
        peer.to_original(peer.PEER(16, num_experts=64, experts_per_head=4, row="v", gated=True, pre_norm="rms"))

    def said(state):
        safetensors.save_file({name: value.contiguous() for name, value in state.items()}, tmp_path / "model.safetensors")
        assert converted(tmp_path, "--experts-per-head", "4") == 1
        return capsys.readouterr().err
    state = HashingMemory().state_dict()
    assert "the layer (meta-memory) has no values" in said({name: value for name, value in state.items() if name != "values.weight"})
    assert "keys has the shape [33, 8], which is not 2 * heads * n rows" in said({**state, "keys": torch.ones(33, 8)})
    assert "lacks value_proj.bias" in said({name: value for name, value in state.items() if name != "value_proj.bias"})
    assert "swilu_projection.bias has the shape [4], expected [16]" in said({**state, "swilu_projection.bias": torch.ones(4)})
    assert "values.weight has the shape [63, 16], expected [64, V]" in said({**state, "values.weight": torch.ones(63, 16)})
    assert "has a batch norm of queries" in said(HashingMemory(mem_query_batchnorm=True).state_dict())
