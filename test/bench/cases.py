"""What is measured. Each case returns rows for the table; correctness comes before timing."""
import array
import json
import math
import os
import statistics
import subprocess
import tempfile

import inputs
from workers import Worker, timed

PAIRS = inputs.HEADS * inputs.K
GIB = 1 << 30


class Row(dict):
    """One line of the table; columns that do not apply are None."""

    def __init__(self, what, us, tokens=1, row_bytes=None, ratio=None, target="", **more):
        gb_per_s = PAIRS * row_bytes * tokens / us * 1e-3 if row_bytes else None
        super().__init__(what=what, us_per_token=us / tokens, gb_per_s=gb_per_s, ratio_to_pytorch=ratio, target=target,
                         **more)


class Bench:
    """The build under test and how thoroughly to measure it."""

    def __init__(self, root, folder, torch, quick):
        self.root, self.folder, self.torch, self.quick = root, folder, torch, quick
        self.build = root / "build"
        self.repeat = 5 if quick else 11

    def compile(self, description, *flags):
        """The artifact of a description."""
        artifact = self.folder / ("".join([description.stem, *flags]) + ".peer")
        if not artifact.exists():
            target = [] if any(flag.startswith("--target=") for flag in flags) else ["--target=cpu"]
            subprocess.run([self.build / "bin" / "peer-opt", description, *target, *flags, "-o", artifact], check=True)
        return artifact

    def peer(self, description, *flags, environment=()):
        return Worker("peer_side", "PeerSide", environment, build=str(self.build), artifact=str(self.compile(description, *flags)))

    def kernels(self, description, entry, tokens):
        """What peer-run bench prints for an entry."""
        done = subprocess.run([self.build / "bin" / "peer-run", "bench", self.compile(description), entry, "--dim",
                               f"T={tokens}", "--repeat", str(self.repeat), "--json"], check=True, capture_output=True)
        return json.loads(done.stdout)

    def pairs(self, peer, torch, count=None):
        """Medians in us of interleaved calls, and the median of the pairs' ratios; `torch` may be None."""
        ours, theirs = [], []
        for i in range((count or self.repeat) + 1):
            ours.append(timed(peer, i) * 1e6)
            if torch:
                theirs.append(timed(torch, i) * 1e6)
        # The first pair warms up.
        ratios = [b / a for a, b in zip(ours[1:], theirs[1:])]
        return (statistics.median(ours[1:]), statistics.median(theirs[1:]) if torch else None,
                statistics.median(ratios) if torch else None)


def available_bytes():
    with open("/proc/meminfo", encoding="ascii") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable")) * 1024


def need_memory(gib):
    """Raises unless this much and a reserve for others is free."""
    if available_bytes() < (gib + 2) * GIB:
        raise MemoryError(f"needs {gib + 2} GiB of free memory, {available_bytes() / GIB:.0f} are free")


def error_share(ours, theirs):
    """Share of elements further apart than 1e-3 of the largest: f32 near-ties select other experts in few tokens."""
    ours, theirs = inputs.floats(ours), inputs.floats(theirs)
    scale = max(map(abs, theirs))
    assert len(ours) == len(theirs) and all(map(math.isfinite, ours))
    return sum(abs(a - b) > 1e-3 * scale for a, b in zip(ours, theirs)) / len(ours)


def check_reference(peer, width, tokens=2):
    x = inputs.normal(7, tokens, width)
    peer.run("layer", {"x": x})
    values = inputs.floats(x[2])
    wanted = [y for t in range(tokens) for y in peer.expected(values[t * width:(t + 1) * width])]
    if error_share(peer.output("y"), array.array("f", wanted).tobytes()) > 0:
        raise AssertionError("y differs from the reference")


def forward(bench, width, tokens, description, target, pytorch=True, checked=True):
    """The layer forward, beside eager; the whole of y is compared where both fit."""
    row_bytes = 2 * width * (2 if "bf16" in description.stem else 4)
    table = inputs.N * row_bytes / GIB
    compares = bench.torch and pytorch
    # Tables too large to hold twice are timed one side after the other.
    together = available_bytes() > (2 * table + 4) * GIB
    need_memory(table + 1)
    xs = [inputs.normal(seed, tokens, width) for seed in range(2 if tokens > 64 else 64)]
    note, theirs, ratio = "", None, None
    # Short calls are timed in a row: one after a pause would measure how threads wake up.
    run = lambda peer: lambda i: peer.runs("layer", [{"x": x} for x in (xs if tokens <= 64 else xs[i % 2:i % 2 + 1])])
    eager = lambda torch: lambda i: torch.forwards(xs if tokens <= 64 else xs[i % 2:i % 2 + 1])
    with bench.peer(description) as peer:
        if checked:
            check_reference(peer, width)
        if compares and together:
            with Worker("torch_side", "TorchSide", width=width) as torch:
                if table < 4:
                    compare_layers(bench, peer, torch, xs[0])
                ours, theirs, ratio = bench.pairs(run(peer), eager(torch))
        else:
            ours, _, _ = bench.pairs(run(peer), None)
    if compares and not together:
        with Worker("torch_side", "TorchSide", width=width) as torch:
            theirs, _, _ = bench.pairs(eager(torch), None)
        ratio, note = theirs / ours, "not interleaved"
    yield Row(f"layer forward, D = {width}{', bf16 table' if 'bf16' in description.stem else ''}, T = {tokens}", ours, tokens,
              row_bytes, ratio, target, pytorch_us_per_token=theirs and theirs / tokens, note=note)


def compare_layers(bench, peer, torch, x):
    """Loads the same weights into eager and compares y."""
    with tempfile.NamedTemporaryFile(dir=bench.folder, suffix=".safetensors") as weights:
        peer.save(weights.name)
        torch.load(weights.name)
    peer.run("layer", {"x": x})
    torch.forward(x)
    share = error_share(peer.output("y"), torch.output())
    if share > 0.01:
        raise AssertionError(f"{100 * share:.1f} % of y differ from PyTorch's")


def train(bench, tokens, optimizer, target):
    """Forward, backward and update of touched rows, beside eager with an optimizer of PyTorch."""
    description = bench.root / "test/bench/train_256.mlir"
    sides = 6.5 + ({"Adam": 9, "SparseAdam": 7}[optimizer] if bench.torch else 0)
    need_memory(sides)
    batches = [(inputs.normal(seed, tokens, 256), inputs.integers(seed + 50, 256, tokens)) for seed in range(4)]
    theirs = ratio = None
    with bench.peer(description) as peer:
        run = lambda i: peer.run("train_step", dict(zip(("x", "targets"), batches[i % 4])))
        if bench.torch:
            with Worker("torch_side", "TorchSide", width=256, optimizer=optimizer) as torch:
                compare_loss(bench, peer, torch, batches[0])
                count = 3 if optimizer == "Adam" else bench.repeat
                ours, theirs, ratio = bench.pairs(run, lambda i: torch.train(*batches[i % 4]), count)
                backward = statistics.median(timed(torch.gradients, *batches[i % 4]) for i in range(4)) * 1e6
                extra = {"pytorch_us_per_token": theirs / tokens, "pytorch_without_optimizer_us_per_token": backward / tokens}
        else:
            (ours, _, _), extra = bench.pairs(run, None), {}
    yield Row(f"forward + backward + Adam of touched rows, D = 256, T = {tokens}; PyTorch: {optimizer}", ours, tokens,
              None, ratio, target, **extra)


def compare_loss(bench, peer, torch, batch):
    """The loss before the first step, from the same weights."""
    with tempfile.NamedTemporaryFile(dir=bench.folder, suffix=".safetensors") as weights:
        peer.save(weights.name)
        torch.load(weights.name)
    peer.run("loss", dict(zip(("x", "targets"), batch)))
    torch.gradients(*batch)
    ours, theirs = inputs.floats(peer.output("loss"))[0], torch.last_loss()
    if abs(ours - theirs) > 1e-4 * theirs:
        raise AssertionError(f"the loss is {ours}, PyTorch's {theirs}")


def mix(bench, tokens):
    """peer.mix on given experts, beside a hand-written gather of the same rows in the same process."""
    need_memory(3)
    with bench.peer(bench.root / "test/bench/mix_256.mlir") as peer:
        for name, exponent in (("uniform", 0), ("Zipf 0.7", 0.7)):
            ids = [inputs.zipf(seed, exponent, tokens, inputs.HEADS, inputs.K) for seed in range(3)]
            fixed = {"x": inputs.normal(1, tokens, 256), "w": inputs.normal(2, tokens, inputs.HEADS, inputs.K)}
            run = lambda i: peer.run("mix", {**fixed, "idx": ids[i % 3]})
            ours, gather, ratio = bench.pairs(run, lambda i: peer.gather(array.array("i", ids[i % 3][2])), 2 * bench.repeat)
            yield Row(f"mix alone, D = 256, T = {tokens}, {name} experts", ours, tokens, 2048, None, ">= 85 % of a gather",
                      share_of_gather=ratio, gather_gb_per_s=PAIRS * 2048 * tokens / gather * 1e-3,
                      note=f"{100 * ratio:.0f} % of a gather")


def mix_of_experts(bench, tokens):
    """peer.mix of experts of 384 rows and its gradients, by expert beside token by token."""
    need_memory(1)
    description = bench.root / "test/bench/mix_experts.mlir"
    seen = [dict(x=inputs.normal(seed, tokens, 256), idx=inputs.integers(seed + 50, 64, tokens, 1, 8),
                 w=inputs.normal(seed + 9, tokens, 1, 8), dy=inputs.normal(seed + 7, tokens, 256)) for seed in range(3)]
    with bench.peer(description, "--mix=grouped") as grouped, bench.peer(description, "--mix=tokens") as walked:
        for entry, what, names in (("mix", "forward", ("x", "idx", "w")), ("mix_grad", "gradients of x, weights and experts", tuple(seen[0]))):
            given = [{name: value for name, value in each.items() if name in names} for each in seen]
            call = lambda peer: lambda i: peer.run(entry, given[i % 3])
            ours, theirs, ratio = bench.pairs(call(grouped), call(walked), 3)
            if entry == "mix":
                share = error_share(grouped.output("y"), walked.output("y"))
                assert share == 0, f"{100 * share:.1f} % of y differ between the forms"
            yield Row(f"mix of 8 of 64 experts of 384 rows by expert, {what}, D = 256, T = {tokens}", ours, tokens,
                      tokens_us_per_token=theirs / tokens, note=f"{ratio:.1f}x of token by token")


def select(bench, tokens):
    """Top-k by itself: scores per second and core."""
    scores = inputs.normal(3, tokens, inputs.HEADS, 2, 1024)
    with bench.peer(bench.root / "test/bench/select.mlir") as peer:
        us, _, _ = bench.pairs(lambda i: peer.run("select", {"scores": scores}), None)
    rate = tokens * inputs.HEADS * 2 * 1024 / us * 1e-3 / os.cpu_count()
    yield Row(f"select alone, 16 of 1024 and of the pairs, T = {tokens}", us, tokens, None, None, ">= 1.5 G scores/s per core",
              giga_scores_per_s_and_core=rate, note=f"{rate:.2f} G scores/s per core")


def route(bench, tokens):
    """Score, select and gate as one, beside the f32 products of the scores alone."""
    queries = inputs.normal(3, tokens, inputs.HEADS, 2, 128)
    with bench.peer(bench.root / "test/bench/route.mlir") as peer:
        us, products, ratio = bench.pairs(lambda i: peer.run("route", {"queries": queries}),
                                          lambda i: peer.run("score", {"queries": queries}))
    yield Row(f"route alone, 16 of 1024 and of the pairs, T = {tokens}", us, tokens, target="<= 1.0 of its f32 products",
              products_us_per_token=products / tokens, note=f"{1 / ratio:.2f} of its f32 products")


def floor(bench, tokens):
    """The layer beside the f32 products of its queries and scores, which are written out as a framework's are."""
    need_memory(3)
    xs = [inputs.normal(seed, tokens, 256) for seed in range(2)]
    with bench.peer(bench.root / "examples/peer_layer.mlir") as peer, bench.peer(bench.root / "test/bench/route.mlir") as products:
        run = lambda side, entry: lambda i: side.run(entry, {"x": xs[i % 2]})
        us, theirs, ratio = bench.pairs(run(peer, "layer"), run(products, "products"), 2 * bench.repeat)
    yield Row(f"layer forward, D = 256, T = {tokens}, beside its f32 products", us, tokens, 2048, target="<= 1.0 of them",
              products_us_per_token=theirs / tokens, note=f"{1 / ratio:.2f} of its f32 products")


def call(bench):
    """What the C interface adds to a call at T = 1."""
    source, library = bench.root / "test/bench", bench.build / "lib"
    program = bench.folder / "call"
    subprocess.run(["/usr/lib/llvm-22/bin/clang", "-O2", f"-I{bench.root / 'runtime'}", source / "call.c", "-o", program, f"-L{library}",
                    "-lpeer_runtime", "-ldl", f"-Wl,-rpath,{library}", "-Wl,--unresolved-symbols=ignore-in-shared-libs"], check=True)
    done = subprocess.run([program, bench.compile(source / "call.mlir")], check=True, capture_output=True, text=True,
                          env={**os.environ, "OMP_NUM_THREADS": "1"})
    whole, bare, added = map(float, done.stdout.split())
    yield Row("peer_run beside the compiled code, T = 1, one thread", added, target="< 10 us", call_us=whole, compiled_us=bare,
              note=f"{whole:.2f} us a call, {bare:.2f} us of them compiled code")
