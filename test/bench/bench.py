#!/usr/bin/env python3
"""Measures the layers on this machine; beside PyTorch where python3 has it. `./dev bench` builds first.

Pairs of calls are interleaved, medians reported; a ratio is the median of the pairs' ratios. GB/s counts the expert rows
that must be read. Results are compared with PyTorch or with plain Python before anything is timed.

Studies with options of their own (`./dev bench STUDY --help`): equal-time trains models for the same seconds, sweep trains
one with many settings, scaling shows what a layer costs, mix-rows what rows of f32, bf16, fp8 and int8 cost.
"""
import argparse
import functools
import importlib.util
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import beside_torch
import cases
import compiling
import step

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOKENS = 1024


def machine():
    """CPU, cores and memory in words."""
    fields = dict(line.split(":", 1) for line in subprocess.run(["lscpu"], capture_output=True, text=True, check=True,
                                                                env={**os.environ, "LC_ALL": "C"}).stdout.splitlines() if ":" in line)
    cpu = " ".join(fields.get(name, "").strip() for name in ("Model name", "CPU family")).strip()
    vectors = "AVX-512" if "avx512f" in fields.get("Flags", "") else "AVX2" if "avx2" in fields.get("Flags", "") else "no AVX2"
    return f"{cpu}, {os.cpu_count()} cores, {vectors}, {cases.available_bytes() / 1e9:.0f} GB of memory free, load {os.getloadavg()[0]:.1f}"


def number(value, digits=1, suffix=""):
    return "" if value is None else f"{value:.{digits}f}{suffix}"


def table(rows):
    """The rows as text; Markdown reads it too."""
    header = ("what", "us/token", "GB/s", "of stream", "PyTorch us/token", "ratio", "target", "")
    body = [(row["what"], "" if "seconds" in row else number(row["us_per_token"]), number(row["gb_per_s"]),
             number(row.get("share_of_stream"), 0, " %"), number(row.get("pytorch_us_per_token")),
             number(row["ratio_to_pytorch"], 1, "x"), row["target"], row.get("note", "")) for row in rows]
    widths = [max(map(len, column)) for column in zip(header, *body)]
    lines = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths)) + " |" for line in [header, *body]]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def all_cases(bench):
    """By name, functions that give rows; the quick form leaves out what needs much time or memory."""
    layer, wide = ROOT / "examples/peer_layer.mlir", ROOT / "test/bench/layer_1024.mlir"
    narrow = wide.with_stem("layer_1024_bf16")
    cheap = {
        "forward": functools.partial(cases.forward, bench, 256, TOKENS, layer, ">= 11x"),
        "decode": functools.partial(cases.forward, bench, 256, 1, layer, "<= 50 us"),
        "mix": functools.partial(cases.mix, bench, TOKENS),
        "mix-experts": functools.partial(cases.mix_of_experts, bench, TOKENS),
        "route": functools.partial(cases.route, bench, TOKENS),
        "floor": functools.partial(cases.floor, bench, TOKENS),
        "select": functools.partial(cases.select, bench, TOKENS),
        "call": functools.partial(cases.call, bench),
        "compile": functools.partial(compiling.compile_time, bench),
        "train": functools.partial(cases.train, bench, TOKENS, "SparseAdam", ">= 20x"),
    }
    dear = {
        "train-dense": functools.partial(cases.train, bench, TOKENS, "Adam", ">= 60x"),
        "wide": functools.partial(cases.forward, bench, 1024, TOKENS, wide, ">= 16x"),
        "wide-bf16": functools.partial(cases.forward, bench, 1024, TOKENS, narrow, "about 80 us", pytorch=False, checked=False),
    }
    return cheap if bench.quick else cheap | dear


def named_cases(bench):
    """Those that are measured only where they are named: they want PyTorch, or packages of build/torch-venv."""
    return {"compiled": functools.partial(beside_torch.compiled, bench, TOKENS), "avx2": functools.partial(beside_torch.avx2, bench, TOKENS),
            "torch-step": functools.partial(step.torch_step, bench)}


# Measurements that take long and have options of their own.
STUDIES = {"equal-time": "equal_time", "sweep": "sweep", "scaling": "scaling", "mix-rows": "mix_rows"}


def main():
    if len(sys.argv) > 1 and sys.argv[1] in STUDIES:
        return importlib.import_module(STUDIES[sys.argv[1]]).main(sys.argv[2:])
    parser = argparse.ArgumentParser(prog="./dev bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer repetitions, no large tables")
    parser.add_argument("cases", nargs="*", metavar="CASE", help="measure these only, such as: forward decode train; only when named: compiled, beside torch.compile; avx2; torch-step, a torch model with its layer replaced")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="write the figures there too")
    arguments = parser.parse_args()

    torch = importlib.util.find_spec("torch") is not None
    if any(name in os.environ for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")):
        print("warning: OPENBLAS_CORETYPE or OPENBLAS_L2_SIZE is set; matrix products may be slower than they need to be")
    print(f"{machine()}; {'PyTorch beside' if torch else 'no PyTorch: python3 has none'}", flush=True)
    # Both sides alike: on a busy machine two unbound threads may share a core for as long as a measurement lasts.
    if "OMP_PROC_BIND" not in os.environ:
        os.environ["OMP_PROC_BIND"] = "true"
        print("OMP_PROC_BIND=true for both sides")
    rows, failed = [], False
    with tempfile.TemporaryDirectory(prefix="peer-bench-", dir=ROOT / "build") as folder:
        bench = cases.Bench(ROOT, pathlib.Path(folder), torch, arguments.quick)
        chosen = all_cases(bench)
        known = chosen | named_cases(bench)
        if unknown := set(arguments.cases) - set(known):
            parser.error(f"no case {', '.join(sorted(unknown))}; there are {', '.join(known)}")
        profile = bench.kernels(ROOT / "examples/peer_layer.mlir", "layer", TOKENS)
        stream = profile["stream_gb_per_s"]
        print(f"stream bandwidth: {stream:.1f} GB/s", flush=True)
        for name in arguments.cases or chosen:
            try:
                for row in known[name]():
                    if row["gb_per_s"] is not None:
                        row["share_of_stream"] = 100 * row["gb_per_s"] / stream
                    rows.append(row)
                    print(f"  {row['what']}: {number(row['us_per_token'])} us/token {row.get('note', '')}", flush=True)
            except MemoryError as error:
                print(f"  {name} is left out: {error}", flush=True)
            except (AssertionError, RuntimeError, subprocess.CalledProcessError) as error:
                print(f"  error: {name}: {error}", file=sys.stderr, flush=True)
                failed = True
            if arguments.json:
                # After every case: an interrupted run keeps what it has measured.
                arguments.json.write_text(json.dumps({"machine": machine(), "stream_gb_per_s": stream, "layer": profile,
                                                      "rows": rows}, indent=2) + "\n", encoding="utf-8")
    print(table(rows))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
