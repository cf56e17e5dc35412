"""`./dev bench scaling`: what a PEER layer costs by experts, experts of a token, width, tokens and threads, beside the floor.

Each point is `peer-run bench` of a layer that differs from the layer of 2^20 experts, D = 256, k = 16, T = 1024 in one size. The floor is the time in which
this machine, as measured in the same run, reads and writes the bytes that 'peer-run bench' counts: rows of experts once for each selection, packed keys a byte
of each number at least, and beside them the keys that were scored in f32. OUT/scaling.svg has the plots, OUT/scaling.md the table, OUT/scaling.json all kernels.
"""
import argparse
import dataclasses
import json
import os
import pathlib
import subprocess
import sys

import cases
import chart

ROOT = pathlib.Path(__file__).resolve().parents[2]
HEADS, HALF = 8, 128


@dataclasses.dataclass(frozen=True)
class Point:
    experts: int = 1 << 20
    k: int = 16
    width: int = 256
    tokens: int = 1024
    threads: int = os.cpu_count()


def description(point):
    """A layer as examples/peer_layer.mlir, with other sizes."""
    n, d, k = round(point.experts ** 0.5), point.width, point.k
    x, keys, pool = f"tensor<?x{d}xf32>", f"tensor<{HEADS}x2x{n}x{HALF}xf32>", f"tensor<{n * n}x2x{d}xf32>"
    columns = HEADS * 2 * HALF
    return f"""func.func @layer(%x: {x} {{peer.name = "x"}}) -> ({x} {{peer.name = "y"}}) {{
  %wq = peer.param "query.weight" normal({d ** -0.5:.4f}) : tensor<{d}x{columns}xf32>
  %q = peer.linear %x, %wq : {x}, tensor<{d}x{columns}xf32>
  %qh = peer.reshape %q to tensor<?x{HEADS}x2x{HALF}xf32> : tensor<?x{columns}xf32>
  %keys = peer.param "keys" normal({(3 * HALF) ** -0.5:.4f}) : {keys}
  %s = peer.score %qh, %keys : tensor<?x{HEADS}x2x{HALF}xf32>, {keys}
  %idx, %val = peer.select %s product_topk<{k}> : tensor<?x{HEADS}x2x{n}xf32>
  %w = peer.gate %val softmax : tensor<?x{HEADS}x{k}xf32>
  %pool = peer.param "experts" normal(0.02) : {pool}
  %y = peer.mix %x, %idx, %w, %pool gelu : {x}, tensor<?x{HEADS}x{k}xi32>, tensor<?x{HEADS}x{k}xf32>, {pool}
  return %y : {x}
}}
"""


def axes(quick):
    """By axis its label and points; the quick form has small pools and few points."""
    base = Point(1 << 16, tokens=256) if quick else Point()
    threads = sorted({1, *(1 << e for e in range(1, 10) if 1 << e < os.cpu_count()), os.cpu_count()})
    # Widths are compared on a smaller pool: 2^20 experts of 1024 numbers are 8.6 GB.
    wide = dataclasses.replace(base, experts=min(base.experts, 1 << 18))
    sizes = {"experts": ("experts N", base, [1 << e for e in ((14, 16, 18) if quick else (14, 16, 18, 20, 22))]),
             "k": ("experts of a head, k", base, (4, 16) if quick else (4, 8, 16, 32)),
             "width": (f"width D, N = {chart.short(wide.experts)}", wide, (128, 256) if quick else (128, 256, 512, 1024)),
             "tokens": ("tokens T of a call", base, (1, 16, 256) if quick else (1, 8, 64, 512, 1024, 4096)),
             "threads": ("threads", base, threads)}
    return {name: (label, [dataclasses.replace(at, **{name: value}) for value in values]) for name, (label, at, values) in sizes.items()}


def measure(point, folder, repeat):
    """us/token and its floor, with what peer-run bench says of the kernels."""
    cases.need_memory(8 * point.experts * point.width / cases.GIB + 0.5)
    model = folder / f"layer-{point.experts}-{point.k}-{point.width}.mlir"
    text = description(point)
    if not model.exists() or model.read_text(encoding="utf-8") != text:
        model.write_text(text, encoding="utf-8")
    done = subprocess.run([ROOT / "build/bin/peer-run", "bench", model, "layer", "--dim", f"T={point.tokens}", "--threads", str(point.threads), "--repeat", str(repeat), "--json"],
                          capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError((done.stderr.strip().splitlines() or ["peer-run bench failed"])[-1])
    return json.loads(done.stdout)


def row(point, profile):
    us = profile["median_us"] / point.tokens
    moved = sum(kernel["bytes"] for kernel in profile["kernels"])
    return {**dataclasses.asdict(point), "us_per_token": us, "floor_us_per_token": moved / profile["stream_gb_per_s"] * 1e-3 / point.tokens, "profile": profile}


def table(found):
    head = ["N", "k", "D", "T", "threads", "us/token", "floor us/token", "stream GB/s"]
    lines = [[chart.short(each["experts"]), *(str(each[name]) for name in ("k", "width", "tokens", "threads")), f"{each['us_per_token']:.1f}", f"{each['floor_us_per_token']:.1f}",
              f"{each['profile']['stream_gb_per_s']:.1f}"] for each in found]
    return chart.markdown([head, *lines])


def picture(by_axis):
    panels = []
    for name, (label, found) in by_axis.items():
        if found:
            lines = [("layer", "us_per_token"), ("floor: bytes at stream bandwidth", "floor_us_per_token")]
            panels.append(chart.panel(f"Cost by {label}", label, "us per token", [(what, [(each[name], each[key]) for each in found]) for what, key in lines], log=True))
    return chart.svg(panels)


def write(out, found, by_axis):
    """All files; after every point, so that an interrupted run keeps what it has measured."""
    (out / "scaling.json").write_text(json.dumps(list(found), indent=1) + "\n", encoding="utf-8")
    (out / "scaling.md").write_text(table(found), encoding="utf-8")
    (out / "scaling.svg").write_text(picture(by_axis), encoding="utf-8")


def main(arguments):
    parser = argparse.ArgumentParser(prog="./dev bench scaling", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    known = axes(False)
    parser.add_argument("axes", nargs="*", metavar="AXIS", help=f"these only: {' '.join(known)} [all]")
    parser.add_argument("--quick", action="store_true", help="small pools, few points")
    parser.add_argument("--repeat", type=int, default=11, metavar="R", help="calls to time for each point [11]")
    parser.add_argument("--out", type=pathlib.Path, metavar="DIR", default=ROOT / "build/scaling", help="where it goes [build/scaling]")
    options = parser.parse_args(arguments)
    if unknown := set(options.axes) - set(known):
        parser.error(f"no axis {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    options.out.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("OMP_PROC_BIND", "true")
    measured, by_axis, failed = {}, {}, False
    for name, (label, points) in axes(options.quick).items():
        if options.axes and name not in options.axes:
            continue
        for point in points:
            try:
                measured[point] = measured.get(point) or row(point, measure(point, options.out, options.repeat))
            except MemoryError as error:
                print(f"  {name} = {getattr(point, name)} is left out: {error}", flush=True)
                continue
            except RuntimeError as error:
                print(f"  error: {name} = {getattr(point, name)}: {error}", file=sys.stderr, flush=True)
                failed = True
                continue
            by_axis.setdefault(name, (label, []))[1].append(measured[point])
            print(f"  {name} = {getattr(point, name)}: {measured[point]['us_per_token']:.1f} us/token, floor {measured[point]['floor_us_per_token']:.1f}", flush=True)
            write(options.out, measured.values(), by_axis)
    if not measured:
        sys.exit("scaling: error: nothing could be measured")
    text = table(measured.values())
    print(f"\n{text}\n{options.out / 'scaling.svg'}, {options.out / 'scaling.md'}, {options.out / 'scaling.json'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
