"""Layers on GPUs, without one: tensors in memory of the driver made for tests, kernels by the simulator."""
import copy
from unittest import mock

import pytest
from conftest import Block, layer, near, torch
from stand_in import Exporting, gpu, module_to_gpu, to_gpu

import peer
from peer._torch import calls

SIZES = {"num_experts": 8, "experts_per_token": 2, "hidden": 6}


def step(model, optimizer, x, target):
    loss = (model(x) - target).square().mean()
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    return float(loss.detach())


def test_a_model_trains_as_on_the_cpu():
    theirs = Block([layer(), layer()], shared=True)
    inputs = [(torch.randn(3, 16), torch.randn(3, 16)) for _ in range(2)]
    with gpu():
        ours = module_to_gpu(copy.deepcopy(theirs))
        optimizers = [peer.optim.AdamW(model, lr=1e-3, eps=1e-6, weight_decay=0.1, table_clip_norm=0.01) for model in (ours, theirs)]
        for x, target in inputs:
            losses = [step(ours, optimizers[0], to_gpu(x), to_gpu(target)), step(theirs, optimizers[1], x, target)]
            assert abs(losses[0] - losses[1]) < 1e-5 * losses[1]
        with torch.no_grad():
            y = ours(to_gpu(x))
            assert y.is_cuda
            near(y.host, theirs(x), within=1e-5)
    for (name, mine), (_, other) in zip(ours.named_parameters(), theirs.named_parameters()):
        near(mine.host, other, name, within=2e-5)
    assert optimizers[0].state[ours.layers[0].experts]["exp_avg"].is_cuda
    with gpu(), mock.patch.object(calls, "capturing", lambda device: True):
        y = ours(to_gpu(x))
        with pytest.raises(peer.Error, match="a CUDA graph is being recorded, and the pairs of a table's gradient would be there once"):
            y.sum().backward()


def test_experts():
    theirs, x, w, dy = peer.Experts(16, grad="dense", **SIZES), torch.randn(5, 16), torch.rand(5, 2), torch.randn(5, 16)
    idx = torch.tensor([[0, 1], [7, 3], [2, -1], [5, 6], [1, 1]])
    results = []
    with gpu():
        ours = module_to_gpu(copy.deepcopy(theirs))
        for model, put in ((theirs, lambda each: each), (ours, to_gpu)):
            # A slice begins where kernels cannot load from.
            given = put(torch.cat([torch.zeros(1), x.flatten()]))[1:].view(5, 16).requires_grad_()
            weights = put(w).requires_grad_()
            y = model(given, put(idx), weights)
            y.backward(put(dy))
            results.append([y, given.grad, weights.grad, model.experts.grad])
        for mine, other in zip(results[1], results[0]):
            near(mine.host, other, within=1e-5)
        with pytest.raises(RuntimeError, match="idx holds other values than -1 to 7"):
            ours(to_gpu(x), to_gpu(idx + 1), to_gpu(w))


def test_arrays_by_dlpack():
    theirs, x = layer(), torch.randn(3, 16)
    with gpu():
        artifact = peer.compile(theirs.config.text(dense=False), "sm_90", "cuda")
        for name, parameter in theirs.named_parameters():
            artifact.bind(name, Exporting(to_gpu(parameter)))
        y = to_gpu(torch.zeros(3, 16))
        artifact.layer(Exporting(to_gpu(x)), out=Exporting(y))
        near(y.host, theirs(x), within=1e-5)
        # From the host, and to it.
        assert torch.equal(torch.from_dlpack(artifact.layer(x)), y.host)


def test_ops_are_there_for_tensors_of_gpus():
    for name in ("infer", "forward", "backward"):
        for key in ("CUDA", "AutogradCUDA", *["AutocastCUDA"] * (name != "backward")):
            assert torch._C._dispatch_has_computed_kernel_for_dispatch_key(f"peer::{name}", key), (name, key)


def test_devices_that_differ_are_refused():
    ours = layer()
    with gpu(), pytest.raises(peer.Error, match='parameter "query.weight" is in memory of the host, and kernels on the device cuda read memory of the GPU'):
        ours(to_gpu(torch.randn(3, 16)))
    with gpu(), pytest.raises(peer.Error, match='"query.weight" is on GPU 0, and the device cpu takes memory of the host'):
        module_to_gpu(ours)(torch.randn(3, 16))
    with torch._subclasses.FakeTensorMode(allow_non_fake_inputs=True):
        x = torch.empty(3, 16, device="xpu")
        with pytest.raises(peer.Error, match="x is on xpu:0, and modules compute on the CPU and on NVIDIA GPUs: move the model to one of these"):
            layer()(x)
