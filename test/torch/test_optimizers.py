"""What surrounds an optimizer: scalers, clipping, other optimizers, processes, threads, memory."""
import copy
import multiprocessing
import shutil
import subprocess
import sys
import threading

import pytest
from conftest import Block, layer, near, torch

import peer


def loss_of(model, seed=5):
    generator = torch.Generator().manual_seed(seed)
    x, target = (torch.randn(12, 16, generator=generator) for _ in "ab")
    return ((model(x) - target)**2).mean()


def same(one, other, within=2e-5):
    for (name, mine), (_, theirs) in zip(one.named_parameters(), other.named_parameters()):
        near(mine, theirs, name, within=within)


@pytest.mark.parametrize("unscale", [False, True])
def test_scaler(unscale):
    plain = Block([layer(), layer()])
    scaled = copy.deepcopy(plain)
    optimizers = [peer.optim.AdamW(model, lr=1e-3, eps=1e-6, clip_norm=0.05) for model in (plain, scaled)]
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    for step in range(4):
        optimizers[0].zero_grad()
        loss_of(plain, step).backward()
        optimizers[0].step()
        optimizers[1].zero_grad()
        scaler.scale(loss_of(scaled, step)).backward()
        if unscale:
            scaler.unscale_(optimizers[1])
        scaler.step(optimizers[1])
        scaler.update()
    same(scaled, plain)
    before = copy.deepcopy(scaled)
    optimizers[1].zero_grad()
    # All that trains is the table: the scaler learns from its pairs alone.
    scaled.layers[1].query.weight.requires_grad_(False)
    scaler.scale(loss_of(scaled) * float("inf")).backward()
    scaler.step(optimizers[1])
    scaler.update()
    assert scaler.get_scale() == 512.0
    same(scaled, before, within=0)


def test_scaler_sees_a_table_alone():
    ours = layer().requires_grad_(False)
    optimizer = peer.optim.LazyAdamW(ours)
    before, scaler = ours.experts.clone(), torch.amp.GradScaler("cpu", init_scale=64.0)
    scaler.scale(ours(torch.full((2, 16), 1.0)).sum() * float("inf")).backward()
    scaler.step(optimizer)
    scaler.update()
    assert scaler.get_scale() == 32.0 and torch.equal(ours.experts, before)


def test_clipping_of_all_together():
    ours, theirs = Block([layer(), layer()], shared=True), Block([layer(grad="dense"), layer(grad="dense")], shared=True)
    theirs.load_state_dict(ours.state_dict())
    optimizer = peer.optim.AdamW(ours, lr=1e-3, eps=1e-6, weight_decay=0, clip_norm=1e-3)
    other = torch.optim.AdamW(theirs.parameters(), lr=1e-3, eps=1e-6, weight_decay=0)
    loss_of(ours).backward()
    loss_of(theirs).backward()
    norm = float(torch.nn.utils.clip_grad_norm_(theirs.parameters(), 1e-3))
    assert norm > 1e-3
    optimizer.step()
    other.step()
    same(ours, theirs)


def test_beside_another_optimizer():
    one = Block([layer(), layer()], shared=True)
    two = copy.deepcopy(one)
    together = peer.optim.AdamW(one, lr=1e-2, weight_decay=0, table_lr=3e-3)
    apart = [peer.optim.LazyAdamW(peer.tables(two), lr=3e-3), torch.optim.AdamW([p for p in two.parameters() if p.requires_grad], lr=1e-2, weight_decay=0)]
    for step in range(3):
        for model, optimizers in ((one, [together]), (two, apart)):
            loss_of(model, step).backward()
            for optimizer in optimizers:
                optimizer.step()
                optimizer.zero_grad()
    same(one, two, within=0)


def test_in_backward():
    one = Block([layer(), layer()])
    two = copy.deepcopy(one)
    waits = peer.optim.LazyAdamW(one, lr=1e-2)
    steps = [peer.optim.in_backward(table, lr=1e-2) for table in peer.tables(two)]
    for step in range(3):
        for model in (one, two):
            loss_of(model, step).backward()
        waits.step()
        assert not any(each._handle.pending for each in two.layers)
    same(one, two, within=0)
    assert int(steps[0].state[two.layers[0].experts]["step"]) == 3
    with pytest.raises(peer.Error, match="the table is read by 2 layers, and a step within"):
        shared = Block([layer(), layer()], shared=True)
        peer.optim.in_backward(shared.layers[0].experts)
    with pytest.raises(peer.Error, match="steps with peer.optim.LazyAdamW, and not with SGD, which takes no pairs"):
        peer.optim.in_backward(one.layers[0].experts, torch.optim.SGD, lr=1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        ours = layer()
        peer.optim.in_backward(ours.experts)
        ours(ours(torch.randn(3, 16))).sum().backward()
    with pytest.raises(Exception, match="in_backward changes the table behind the compiler's back"):
        torch.compile(two, fullgraph=True, backend="aot_eager")(torch.randn(3, 16, requires_grad=True)).sum().backward()


def test_what_is_refused():
    model = Block([layer()])
    with pytest.raises(peer.Error, match="a tensor of the shape \\[16, 16\\] is the table of no layer"):
        peer.optim.LazyAdamW([model.linear[0].weight])
    with pytest.raises(peer.Error, match="belongs to a layer with grad='dense', whose gradient any optimizer takes"):
        dense = layer(grad="dense")
        peer.optim.LazyAdamW(peer.tables(dense))
    with pytest.raises(peer.Error, match="clip_norm is 0, expected a number above 0, or None"):
        peer.optim.LazyAdamW(model, clip_norm=0)
    with pytest.raises(peer.Error, match="clip_norm and table_clip_norm were both given"):
        peer.optim.AdamW(model, clip_norm=1, table_clip_norm=1)
    with pytest.raises(peer.Error, match="there is no table to optimize"):
        peer.optim.LazyAdamW(torch.nn.Linear(2, 2))


def test_checkpointing_trains_alike():
    one = Block([layer(), layer()])
    two = copy.deepcopy(one)
    optimizers = [peer.optim.AdamW(model) for model in (one, two)]
    for step in range(2):
        x = torch.randn(9, 16)
        one(x).square().mean().backward()
        torch.utils.checkpoint.checkpoint(two, x, use_reentrant=False).square().mean().backward()
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()
    same(one, two, within=0)


def test_threads():
    ours = layer()
    inputs = [torch.randn(20, 16) for _ in range(8)]
    wanted = [ours(x) for x in inputs]
    faults = []

    def work(part):
        for _ in range(20):
            faults.extend(number for number in range(part, 8, 2) if not torch.equal(ours(inputs[number]), wanted[number]))
            ours(inputs[part]).sum().backward()
    peer.optim.AdamW(ours)
    threads = [threading.Thread(target=work, args=(part,)) for part in (0, 1)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert not faults and len(ours._handle.pending) == 40


class _Layered(torch.utils.data.Dataset):
    """Items that a worker computes by a layer, which its parent has called, too."""

    def __init__(self, ours):
        self.ours = ours

    def __len__(self):
        return 6

    def __getitem__(self, number):
        with torch.no_grad():
            return self.ours(torch.full((1, 16), float(number)))


def test_fork():
    data = _Layered(layer())
    wanted = torch.stack([data[number] for number in range(6)])
    loader = torch.utils.data.DataLoader(data, batch_size=3, num_workers=2, multiprocessing_context=multiprocessing.get_context("fork"), timeout=60)
    near(torch.cat(list(loader)), wanted)


MEMORY = """
import resource, torch, peer
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
before = peak()
model = peer.PEER(64, num_experts=2**20, heads=4, experts_per_head=8)
optimizer = peer.optim.AdamW(model)
for _ in range(2):
    model(torch.randn(64, 64)).square().mean().backward()
    optimizer.step()
print((peak() - before) / (3 * model.experts.numel() * 4))
"""


def test_memory_of_a_step():
    done = subprocess.run([sys.executable, "-c", MEMORY], check=True, capture_output=True, text=True)
    # The table and its two states are counted, too: much less than 1 would be no measurement.
    assert 0.9 < float(done.stdout) < 1.1


# Whether the compiler knows vectors takes inductor longer to find out than all else, and is nothing that layers depend on.
@pytest.mark.skipif(not (shutil.which("g++") or shutil.which("clang++")), reason="inductor wants a C++ compiler")
@torch._inductor.config.patch({"cpp.vec_isa_ok": False, "compile_threads": 1})
def test_inductor():
    one = Block([layer()])
    two = copy.deepcopy(one)
    optimizers, compiled = [peer.optim.AdamW(model) for model in (one, two)], torch.compile(two, fullgraph=True)
    for tokens in (16, 24):
        x = torch.randn(tokens, 16)
        for model, optimizer in zip((one, compiled), optimizers):
            model(x).square().mean().backward()
            optimizer.step()
            optimizer.zero_grad()
    same(two, one)
