"""Modules of other packages against what replaces them."""
import copy
import pickle

import pytest
from conftest import Block, both, layer, near, original, torch

import peer

PEER = [{}, {"non_competing_scores": False}, {"non_competing_scores": False, "pre_rmsnorm": True}, {"pre_rmsnorm": True, "heads": 3},
        {"activation": torch.nn.SiLU, "non_competing_scores": False}]
PKM = [{}, {"non_competitive_gates": True}]


def gradients(module, x, dy):
    x = x.clone().requires_grad_()
    y = module(x)
    y.backward(dy)
    return y, x.grad


@pytest.mark.parametrize("kind, options", [("peer", options) for options in PEER] + [("pkm", options) for options in PKM])
def test_forward_and_every_gradient(kind, options):
    theirs, ours = both(kind, **options)
    x, dy = torch.randn(2, 9, 16), torch.randn(2, 9, 16)
    y, dx = gradients(theirs, x, dy)
    our_y, our_dx = gradients(ours, x, dy)
    near(our_y, y, "y")
    near(our_dx, dx, "dx")
    for name, parameter in ours.named_parameters():
        parameter.grad_of_original = parameter.grad
    # Gradients are mapped as values are.
    wanted = copy.deepcopy(ours)
    wanted.load_state_dict({name: each.grad for name, each in theirs.named_parameters()})
    for name, parameter in ours.named_parameters():
        expected = wanted.get_parameter(name) - (1 if name == "norm.weight" else 0)
        near(parameter.grad, expected, name)


@pytest.mark.parametrize("kind, options", [("peer", {}), ("peer", {"pre_rmsnorm": True}), ("pkm", {})])
def test_state_dicts_go_both_ways(kind, options):
    theirs, ours = both(kind, **options)
    back = peer.to_original(ours)
    state = theirs.state_dict()
    assert set(back) == set(state)
    for name, value in state.items():
        # A scale is kept as itself, and not as what it is above 1.
        near(back[name], value, name, within=1e-6 if name == "norm.gamma" else 0)
    original(kind, **options).load_state_dict(back)
    again = peer.replace(original(kind, **options), verbose=False)
    again.load_state_dict(ours.state_dict())
    for name, value in ours.state_dict().items():
        assert torch.equal(again.state_dict()[name], value), name


def test_within_a_model(capsys):
    model = torch.nn.Sequential(torch.nn.Linear(16, 16), original(), original(dropout=0.5), original(separate_embed_per_head=True))
    assert peer.replace(model, dry_run=True) is model and type(model[1]).__module__.startswith("PEER_pytorch")
    assert peer.replace(model) is model
    assert isinstance(model[1], peer.PEER) and not isinstance(model[2], peer.PEER)
    said = capsys.readouterr().out
    assert "peer: 1 (PEER) is now PEER(16, num_experts=64" in said
    assert "peer: 2 (PEER) left: PEER has dropout 0.5, which is not done inside of a layer; set it to 0" in said
    assert "peer: 3 (PEER) left: PEER has separate_embed_per_head" in said
    one = original()
    twice = peer.replace(torch.nn.Sequential(one, one), verbose=False)
    assert twice[0] is twice[1]


def test_checkpoints_of_before_load():
    old = torch.nn.Sequential(torch.nn.Linear(16, 16), original())
    new = peer.replace(copy.deepcopy(old), verbose=False)
    with torch.no_grad():
        new[1].experts.zero_()
    new.load_state_dict(old.state_dict())
    x = torch.randn(3, 5, 16)
    near(new(x), old(x))


def test_copies_and_pickles():
    ours = layer()
    x = torch.randn(5, 16)
    for other in (copy.deepcopy(ours), pickle.loads(pickle.dumps(ours))):
        assert torch.equal(other(x), ours(x))
        with torch.no_grad():
            other.experts.zero_()
        assert not other(x).any() and ours(x).any()


def test_first_mistakes():
    x = torch.randn(3, 16)
    with pytest.raises(peer.Error, match=r"num_experts is 1000, which is no square of a number of keys; 961 and 1024 are"):
        layer(num_experts=1000)
    with pytest.raises(peer.Error, match=r"experts_per_head is 9, and there are 8 keys in each half"):
        layer(experts_per_head=9)
    with pytest.raises(peer.Error, match=r"gate is 'tanh'; it can be 'softmax', 'relu', 'sigmoid', 'one'"):
        layer(gate="tanh")
    with pytest.raises(peer.Error, match=r"x has the shape \[3, 8\], expected \[..., 16\]"):
        layer()(x[:, :8])
    with pytest.raises(peer.Error, match=r"x is torch.float64, and the layer takes torch.float32"):
        layer()(x.double())
    ours = layer()
    with pytest.warns(UserWarning, match="have gradients that no optimizer takes: use peer.optim.AdamW or grad=\"dense\""):
        for _ in range(3):
            ours(x).sum().backward()
    model = peer.replace(torch.nn.Sequential(torch.nn.Linear(16, 16), original()), verbose=False)
    frozen = torch.optim.AdamW(model.parameters())
    with pytest.warns(UserWarning, match="experts of 1 have gradients that no optimizer takes"):
        for _ in range(2):
            model(torch.randn(2, 3, 16)).sum().backward()
            frozen.step()
    with pytest.raises(peer.Error, match="the first argument is list, expected the model itself"):
        peer.optim.AdamW(list(ours.parameters()))
    with pytest.raises(RuntimeError, match="does not support sparse gradients"):
        sparse = layer(grad="coo")
        sparse(x).sum().backward()
        torch.optim.AdamW(sparse.parameters()).step()
    with pytest.raises(NotImplementedError, match="no gradient of their gradient"):
        x = x.requires_grad_()
        (dx,) = torch.autograd.grad(layer(grad="dense")(x).square().sum(), x, create_graph=True)
        dx.sum().backward()


def test_shared_table_must_select_alike():
    model = Block([layer(), layer(heads=4)], shared=True)
    with pytest.raises(peer.Error, match="layers.1 shares its table with a layer that has 2 heads of 4 experts"):
        peer.optim.AdamW(model)
