#!/usr/bin/env python3
"""The benchmarks in PyTorch on a GPU: eager, torch.compile, and the mix as an embedding bag in Triton. One request per line of standard input,
one answer per line of standard output (TorchSide.cpp)."""
import json
import os
import sys

import torch
import torch.nn.functional as F

# Answers go where standard output was; what libraries print does not come between.
ANSWERS = os.fdopen(os.dup(1), "w", encoding="utf-8")
os.dup2(2, 1)


def _mix(x, idx, weights, down, up):
    """As frameworks do it: gathered T x H x k x D tensors."""
    hidden = torch.einsum("td,thkd->thk", x, F.embedding(idx, down))
    hidden = F.gelu(hidden.float()) * weights
    return torch.einsum("thk,thkd->td", hidden.to(up.dtype), F.embedding(idx, up)).float()


def _route(x, query, keys, selected):
    heads, _, n, half = keys.shape
    scores = torch.einsum("thpd,hpnd->thpn", (x @ query).unflatten(-1, (heads, 2, half)), keys)
    value, index = scores.topk(selected, dim=-1)
    sums = (value[:, :, 0, :, None] + value[:, :, 1, None, :]).flatten(-2)
    pairs = (index[:, :, 0, :, None] * n + index[:, :, 1, None, :]).flatten(-2)
    best, place = sums.topk(selected, dim=-1)
    return pairs.gather(-1, place), best.softmax(dim=-1)


def _triton_mix():
    """A fused gather in Triton: one program per token, one row after the other."""
    import triton
    import triton.language as tl

    @triton.jit
    def kernel(x_pointer, idx_pointer, w_pointer, down_pointer, up_pointer, y_pointer, pairs, width: tl.constexpr, block: tl.constexpr):
        token = tl.program_id(0).to(tl.int64)
        columns = tl.arange(0, block)
        inside = columns < width
        x = tl.load(x_pointer + token * width + columns, mask=inside, other=0.0)
        y = tl.zeros((block,), dtype=tl.float32)
        for pair in range(pairs):
            row = tl.load(idx_pointer + token * pairs + pair).to(tl.int64) * width
            weight = tl.load(w_pointer + token * pairs + pair)
            hidden = tl.sum(x * tl.load(down_pointer + row + columns, mask=inside, other=0.0).to(tl.float32), axis=0)
            gelu = 0.5 * hidden * (1.0 + tl.erf(hidden * 0.7071067811865476))
            y += weight * gelu * tl.load(up_pointer + row + columns, mask=inside, other=0.0).to(tl.float32)
        tl.store(y_pointer + token * width + columns, y, mask=inside)

    def mix(x, idx, weights, down, up):
        y = torch.empty_like(x)
        kernel[(x.shape[0],)](x, idx.int(), weights, down, up, y, idx.shape[1] * idx.shape[2], x.shape[1],
                              triton.next_power_of_2(x.shape[1]), num_warps=4)
        return y

    return mix


class Side:
    """Tensors and functions of one benchmark."""

    def __init__(self, spec):
        self.spec, self.calls = spec, 0
        torch.manual_seed(1)
        width, heads, n, half = (spec[key] for key in ("width", "heads", "n", "half"))
        tensor = {"device": "cuda"}
        if spec["kind"] != "routing":
            table = {**tensor, "dtype": torch.bfloat16}
            self.down, self.up = (torch.empty(n * n, width, **table).normal_(0, 0.02) for _ in range(2))
        if spec["kind"] != "mix":
            self.query = torch.randn(width, heads * 2 * half, **tensor) * 0.02
            self.keys = torch.randn(heads, 2, n, half, **tensor) * 0.02
        self.inputs = [self._inputs() for _ in range(20 if spec["tokens"] <= 64 else 2)]
        if spec["kind"] == "train":
            self._prepare_training()
        self.variants = {"eager": self._run, "compile": torch.compile(self._run, dynamic=False)}
        if spec["kind"] in ("mix", "layer"):
            triton_mix = _triton_mix()
            self.variants["triton"] = lambda *values: self._run(*values, mix=triton_mix)

    def _inputs(self):
        spec, tokens = self.spec, self.spec["tokens"]
        x = torch.randn(tokens, spec["width"], device="cuda")
        if spec["kind"] == "train":
            return x, torch.randint(spec["width"], (tokens,), device="cuda")
        if spec["kind"] != "mix":
            return (x,)
        shape, experts = (tokens, spec["heads"], spec["selected"]), spec["experts"]
        rank = (experts * torch.rand(shape, device="cuda", dtype=torch.float64) ** (1 / (1 - spec["zipf"]))).long().clamp(max=experts - 1)
        weights = torch.rand(shape, device="cuda") + 0.1
        return x, (rank * 0x9e3779b1) & (experts - 1), weights / weights.sum(-1, keepdim=True)

    def _prepare_training(self):
        """Sparse gradients of the tables, the best that PyTorch has; the rows' optimizer as near to ours as there is one."""
        self.down, self.up = (torch.nn.Parameter(table) for table in (self.down, self.up))
        self.query, self.keys = (torch.nn.Parameter(weight) for weight in (self.query, self.keys))
        tables = [self.down, self.up]
        rows = torch.optim.SparseAdam(tables, lr=1e-3) if self.spec["optimizer"] == "adamw" else torch.optim.SGD(tables, lr=1e-3)
        self.optimizers = [torch.optim.SGD([self.query, self.keys], lr=1e-3), rows]

    def _run(self, x, *rest, mix=_mix):
        kind = self.spec["kind"]
        if kind == "mix":
            return mix(x.to(self.down.dtype) if mix is _mix else x, *rest, self.down, self.up)
        idx, weights = _route(x, self.query, self.keys, self.spec["selected"])
        if kind == "routing":
            return idx, weights
        if kind == "layer":
            return mix(x.to(self.down.dtype) if mix is _mix else x, idx, weights, self.down, self.up)
        hidden = torch.einsum("td,thkd->thk", x.to(self.down.dtype), F.embedding(idx, self.down, sparse=True))
        hidden = F.gelu(hidden.float()) * weights
        y = torch.einsum("thk,thkd->td", hidden.to(self.up.dtype), F.embedding(idx, self.up, sparse=True)).float()
        return F.cross_entropy(y, rest[0])

    def _call(self, variant):
        values = self.inputs[self.calls % len(self.inputs)]
        self.calls += 1
        if self.spec["kind"] != "train":
            with torch.no_grad():
                return self.variants[variant](*values)
        for optimizer in self.optimizers:
            optimizer.zero_grad()
        self.variants[variant](*values).backward()
        for optimizer in self.optimizers:
            optimizer.step()
        return None

    def measure(self, variant, calls):
        """The median of microseconds between two events around a call, and the peak of memory beside the parameters."""
        held = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        for _ in range(3):
            self._call(variant)
        times = []
        for _ in range(calls):
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            start.record()
            self._call(variant)
            end.record()
            end.synchronize()
            times.append(start.elapsed_time(end) * 1e3)
        return {"us": sorted(times)[len(times) // 2], "peak_bytes": torch.cuda.max_memory_allocated() - held}


def main():
    side, failed = None, {}
    for line in sys.stdin:
        request = json.loads(line)
        variant = request.get("measure")
        try:
            if "prepare" in request:
                side = Side(request["prepare"])
                answer = {"variants": list(side.variants), "version": torch.__version__}
            elif variant in failed:
                answer = {"message": failed[variant]}
            else:
                answer = side.measure(variant, request["calls"])
        except Exception as error:  # Whatever it is, the table says so.
            message = f"{type(error).__name__}: {error}".splitlines()[0][:300]
            failed[variant] = message
            answer = {"message": message} if variant else {"error": message}
        print(json.dumps(answer), file=ANSWERS, flush=True)


if __name__ == "__main__":
    main()
