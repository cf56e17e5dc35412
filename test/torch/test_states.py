"""What an optimizer of tables keeps of them: moments of bfloat16, and no first one."""
import copy

import pytest
from conftest import Block, layer, torch
from test_optimizers import loss_of, same

import peer


def test_states_of_bfloat16():
    plain = Block([layer(), layer()])
    narrow = copy.deepcopy(plain)
    optimizers = [peer.optim.AdamW(plain, lr=1e-3, eps=1e-6), peer.optim.AdamW(narrow, lr=1e-3, eps=1e-6, table_state_dtype=torch.bfloat16)]

    def train(model, optimizer, steps):
        for step in steps:
            optimizer.zero_grad()
            loss_of(model, step).backward()
            optimizer.step()

    for model, optimizer in zip((plain, narrow), optimizers):
        train(model, optimizer, range(3))
    same(narrow, plain, within=1e-3)
    for each in narrow.layers:
        state = optimizers[1].state[each.experts]
        assert state["exp_avg"].dtype == state["exp_avg_sq"].dtype == torch.bfloat16 and state["exp_avg_sq"].max() > 0
    # A state dict goes on where it was, though torch widens it.
    other = copy.deepcopy(narrow)
    resumed = peer.optim.AdamW(other, lr=1e-3, eps=1e-6, table_state_dtype=torch.bfloat16)
    resumed.load_state_dict(copy.deepcopy(optimizers[1].state_dict()))
    train(narrow, optimizers[1], range(3, 5))
    train(other, resumed, range(3, 5))
    same(other, narrow, within=0)
    with pytest.raises(peer.Error, match="were to be torch.float16; expected torch.float32 or torch.bfloat16"):
        peer.optim.LazyAdamW(narrow, state_dtype=torch.float16)


def test_no_first_moment():
    ours, theirs = Block([layer()]), Block([layer(grad="dense")])
    theirs.load_state_dict(ours.state_dict())
    optimizer = peer.optim.AdamW(ours, lr=1e-3, betas=(0.0, 0.999), eps=1e-6, weight_decay=0)
    other = torch.optim.AdamW(theirs.parameters(), lr=1e-3, betas=(0.0, 0.999), eps=1e-6, weight_decay=0)
    for model, each in ((ours, optimizer), (theirs, other)):
        loss_of(model).backward()
        each.step()
    same(ours, theirs)
    assert "exp_avg" not in optimizer.state[ours.layers[0].experts]
