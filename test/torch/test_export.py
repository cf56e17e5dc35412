"""peer.export: the same logits, the same training and the same text as the model of torch."""
import os
import pathlib
import subprocess

import pytest
from conftest import near, torch
from decoders import Llama, NanoGPT

import peer

F = torch.nn.functional


def tokens(vocabulary=65, seed=0):
    return torch.randint(vocabulary, (2, 16), generator=torch.Generator().manual_seed(seed))


def logits_of(model, given):
    """Of all tokens."""
    with torch.no_grad():
        return model(given, given)[0] if isinstance(model, NanoGPT) else model(given)


def ours(artifact, given):
    return torch.from_dlpack(artifact.logits(given.flatten().to(torch.int32))).view(*given.shape, -1)


def experts(grad):
    return lambda width: peer.PEER(width, num_experts=64, heads=2, experts_per_head=4, key_dim=8, query_norm="layer", grad=grad)


def train(model, optimizer, artifact, steps):
    """Losses of both, with the same batches."""
    losses = []
    for step in range(steps):
        batch = tokens(seed=step % 7)
        given, targets = batch, batch.roll(-1, 1)
        optimizer.zero_grad()
        loss = F.cross_entropy(logits_grad(model, given, targets).flatten(0, 1), targets.flatten())
        loss.backward()
        optimizer.step()
        result = artifact.train_step(given.flatten().to(torch.int32), targets.flatten().to(torch.int32), step=step + 1)
        losses.append((float(loss.detach()), float(result.loss)))
    return losses


def logits_grad(model, given, targets):
    return model(given, targets)[0] if isinstance(model, NanoGPT) else model(given)


def greedy(model, artifact, prompt, count):
    """What both make of a prompt, token by token."""
    theirs = list(prompt)
    for _ in range(count):
        theirs.append(int(logits_of(model, torch.tensor([theirs]))[0, -1].argmax()))
    made, last = list(prompt), artifact.prefill(torch.tensor(prompt, dtype=torch.int32))[-1]
    for _ in range(count):
        made.append(int(torch.from_dlpack(last).argmax()))
        last = artifact.decode(torch.tensor(made[-1:], dtype=torch.int32), position=len(made) - 1)[0]
    return theirs, made


@pytest.mark.parametrize("grad, fused", [("rows", True), ("dense", False)])
def test_a_model_trains_and_speaks_alike(grad, fused):
    model = NanoGPT(experts(grad), fused=fused).eval()
    if grad == "rows":
        optimizer = peer.optim.AdamW(model, lr=1e-3, betas=(0.9, 0.95), weight_decay=0.1, table_lr=4e-3)
    else:
        parameters = list(model.parameters())
        groups = [{"params": [p for p in parameters if p.dim() > 1], "weight_decay": 0.1}, {"params": [p for p in parameters if p.dim() < 2], "weight_decay": 0.0}]
        optimizer = torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.95))
    exported = peer.export(model, tokens(), optimizer=optimizer)
    assert set(exported.weights) == {name for name, _ in model.named_parameters()}
    artifact = exported.compile()
    near(ours(artifact, tokens()), logits_of(model, tokens()), within=1e-5)
    losses = train(model, optimizer, artifact, 50)
    assert losses[-1][0] < losses[0][0] - 0.5
    for theirs, made in losses:
        assert abs(theirs - made) < 2e-5 * theirs, losses
    near(ours(artifact, tokens()), logits_of(model, tokens()), within=2e-4)
    theirs, made = greedy(model, artifact, [1, 2, 3], 13)
    assert theirs == made and len(set(theirs)) > 3


@pytest.mark.parametrize("kind, base, turned", [("halves", 500000.0, 2), ("backwards", 10000.0, 2), ("neighbours", 10000.0, 2), ("stretched", 10000.0, 0)])
def test_rotary_positions(kind, base, turned):
    model = Llama(kind="halves" if kind == "stretched" else kind, base=base).eval()
    if kind == "stretched":
        # As longer contexts have them: of no one base.
        model.frequencies[-2:] /= 8
    exported = peer.export(model, tokens(), check=False, train=kind in ("halves", "stretched"))
    assert exported.text.count("peer.rotary") == (turned or 1) and ("@positions" in exported.text) == ("constants.0" in exported.weights) == (turned == 0)
    assert exported.text.count("peer.rms_norm") == 4
    artifact = exported.compile()
    near(ours(artifact, tokens()), logits_of(model, tokens()), within=1e-5)
    theirs, made = greedy(model, artifact, [5, 6], 14)
    assert theirs == made
    if kind in ("halves", "stretched"):
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.95), weight_decay=0)
        for step, (one, two) in enumerate(train(model, optimizer, artifact, 5)):
            assert abs(one - two) < 2e-5 * one, step


def test_without_python(tmp_path):
    """What peer-run makes of the files is what torch says next."""
    model = Llama(vocabulary=256).eval()
    exported = peer.export(model, tokens(256), train=False, check=False)
    exported.save(tmp_path / "model.mlir", tmp_path / "weights.safetensors")
    compiler = pathlib.Path(os.environ["PEER_OPT"]).resolve()
    done = subprocess.run([compiler.parent / "peer-run", "generate", "model.mlir", "--weights", "weights.safetensors", "--prompt", "a", "--tokens", "12",
                           "--temperature", "0"], cwd=tmp_path, check=True, env={**os.environ, "PEER_OPT": str(compiler)}, stdout=subprocess.PIPE)
    said = list(b"a")
    for _ in range(12):
        said.append(int(logits_of(model, torch.tensor([said]))[0, -1].argmax()))
    assert list(done.stdout[:12]) == said[1:]
