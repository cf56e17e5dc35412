"""The layer beside PyTorch as it is not run by default: compiled, and with AVX2 alone."""
import cases
import inputs
from workers import Worker


def row(bench, peer, torch, tokens, what, target):
    """The same weights and tokens on both sides, in pairs of calls."""
    x = [inputs.normal(seed, tokens, 256) for seed in range(2)]
    cases.compare_layers(bench, peer, torch, x[0])
    ours, theirs, ratio = bench.pairs(lambda i: peer.runs("layer", [{"x": x[i % 2]}]), lambda i: torch.forward(x[i % 2]))
    return cases.Row(f"layer forward, D = 256, T = {tokens}{what}", ours, tokens, 2048, ratio, target, pytorch_us_per_token=theirs / tokens)


def compiled(bench, tokens):
    """The layer beside torch.compile of it, in the modes that may be the best."""
    cases.need_memory(5)
    with bench.peer(bench.root / "examples/peer_layer.mlir") as peer:
        for mode in ("default", "max-autotune"):
            with Worker("torch_side", "TorchSide", width=256, mode=mode) as torch:
                yield row(bench, peer, torch, tokens, f"; PyTorch: torch.compile, {mode}", ">= 9x")


# What a CPU without AVX-512 runs: of PyTorch's own kernels, of its libraries, and of the BLAS that the runtime loads.
AVX2 = {"ATEN_CPU_CAPABILITY": "avx2", "MKL_ENABLE_INSTRUCTIONS": "AVX2", "ONEDNN_MAX_CPU_ISA": "AVX2", "OPENBLAS_CORETYPE": "Haswell"}


def avx2(bench, tokens):
    """The layer beside eager where both have AVX2 alone."""
    cases.need_memory(5)
    layer = bench.root / "examples/peer_layer.mlir"
    with bench.peer(layer, "--target=cpu:x86-64-v3", environment=AVX2) as peer, Worker("torch_side", "TorchSide", AVX2, width=256) as torch:
        assert torch.vectors() == "AVX2", f"PyTorch takes {torch.vectors()}"
        yield row(bench, peer, torch, tokens, ", AVX2", ">= 6x")
