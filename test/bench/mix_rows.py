"""`./dev bench mix-rows`: mix and mix_grad over pools of f32, bf16, fp8 and int8 rows, beside the stream and a gather of the same run.

128 rows a token, of 2^20 experts of width 256 (T = 1024) and of 2^18 of width 1024 (T = 256), drawn anew for each call: the same ones again would
partly lie in a cache of hundreds of MB. All are called in turns, in one process; shares and ratios are medians of what the rounds' are. Bytes are those of rows.
"""
import argparse
import array
import ctypes
import dataclasses
import mmap
import os
import pathlib
import random
import statistics
import struct
import subprocess
import sys
import tempfile
import time

import cases
import chart
import inputs
import peer_side
import reference
from peer_api import TRUST_INPUTS, Model, Options, Tensor, View, views

ROOT = pathlib.Path(__file__).resolve().parents[2]
STREAMED = 1 << 28


@dataclasses.dataclass(frozen=True)
class Kind:
    """How rows are stored: the names of it here and in descriptions, bytes of a number, and a scale where there is one."""
    name: str
    element: str
    dtype: str
    bytes: int
    scale: float | None
    target: str

    def numbers(self, stored):
        """What stored bytes mean."""
        if self.name == "f32":
            return array.array("f", stored)
        if self.name == "bf16":
            return [struct.unpack("<f", bytes([0, 0, stored[i], stored[i + 1]]))[0] for i in range(0, len(stored), 2)]
        if self.name == "int8":
            return [self.scale * value for value in array.array("b", stored)]
        return [self.scale * (-1) ** (byte >> 7) * 2.0 ** ((byte >> 3 & 15) - 7) * (1 + (byte & 7) / 8) for byte in stored]


KINDS = [Kind("f32", "f32", "f32", 4, None, ">= 85 % of stream"), Kind("bf16", "bf16", "bf16", 2, None, ">= 1.7x"),
         Kind("fp8", "f8E4M3FN", "f8_e4m3", 1, 0.03, ""), Kind("int8", "i8", "i8", 1, 1e-4, ">= 3x")]


@dataclasses.dataclass(frozen=True)
class Size:
    width: int
    experts: int
    tokens: int

    def row_bytes(self, kind):
        return 2 * self.width * kind.bytes


class Mapped:
    """A tensor in large pages, as parameters of the runtime are, made of a block of bytes again and again."""
    PAGE = 2 << 20

    def __init__(self, dtype, count, block):
        self.dtype, self.count, self.memory = dtype, count, mmap.mmap(-1, count + self.PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self.memory.madvise(mmap.MADV_HUGEPAGE)
        start = ctypes.addressof(ctypes.c_char.from_buffer(self.memory))
        self.address = (start + self.PAGE - 1) // self.PAGE * self.PAGE
        self.first = self.address - start
        for at in range(0, count, len(block)):
            size = min(len(block), count - at)
            self.memory[self.first + at:self.first + at + size] = block[:size]

    def bytes(self, at, count):
        return self.memory[self.first + at:self.first + at + count]

    def of(self, *shape):
        """What a call gets: the first numbers in this shape."""
        return View(ctypes.sizeof(View), 1, 0, self.dtype.encode(), len(shape), (ctypes.c_int64 * len(shape))(*shape), None, self.address)


def bits(source, words, keep, add):
    """Random 32-bit words with some bits as they are given."""
    every = lambda word: int.from_bytes(struct.pack("<I", word) * words, "little")
    return (int.from_bytes(source.randbytes(4 * words), "little") & every(keep) | every(add)).to_bytes(4 * words, "little")


def pools(numbers):
    """One pool for each kind; magnitudes of about 0.01."""
    source, words = random.Random(1), 1 << 20
    blocks = {"f32": bits(source, words, 0x807fffff, 0x3c000000), "bf16": bits(source, words, 0x807f807f, 0x3c003c00),
              "fp8": bits(source, words, 0x87878787, 0x28282828), "int8": bits(source, words, 0xffffffff, 0)}
    return {kind.name: Mapped(kind.dtype, kind.bytes * numbers, blocks[kind.name]) for kind in KINDS}


def description(size, kind):
    x, idx, w, pool = f"tensor<?x{size.width}xf32>", "tensor<?x8x16xi32>", "tensor<?x8x16xf32>", f"tensor<{size.experts}x2x{size.width}x{kind.element}>"
    scales = f"tensor<{size.experts}x2xf32>"
    given = f'%x: {x} {{peer.name = "x"}}, %idx: {idx} {{peer.name = "idx"}}, %w: {w} {{peer.name = "w"}}, %pool: {pool} {{peer.name = "pool"}}'
    if kind.scale is None:
        op, gradient = f"peer.mix %x, %idx, %w, %pool gelu : {x}, {idx}, {w}, {pool}", "peer.gradient @mix_grad of @mix wrt [0]"
    else:
        given += f', %scales: {scales} {{peer.name = "scales"}}'
        op, gradient = f"peer.quantized_mix %x, %idx, %w, %pool, %scales gelu : {x}, {idx}, {w}, {pool}, {scales}", ""
    return f'func.func @mix({given}) -> ({x} {{peer.name = "y"}}) {{\n  %y = {op}\n  return %y : {x}\n}}\n{gradient}\n'


class Case:
    """One entry over one pool."""

    def __init__(self, size, kind, model, entry, fixed):
        self.size, self.kind, self.model, self.entry, self.fixed = size, kind, model, entry, fixed
        self.results = model.results(entry, size.tokens)
        self.wanted, self.options, self.seconds = views(self.results), Options(TRUST_INPUTS), []

    def run(self, idx):
        """Seconds of a call with these experts."""
        names = [argument["name"] for argument in self.model.entries[self.entry]["arguments"]]
        given = (View * len(names))(*({**self.fixed, "idx": idx}[name] for name in names))
        start = time.perf_counter()
        status = self.model.run_views(self.entry, given, len(names), self.wanted, len(self.results), self.options)
        seconds = time.perf_counter() - start
        self.model.check(status)
        return seconds

    def check(self, pool, chosen, values):
        """The first token beside the definition."""
        width, row = self.size.width, self.size.row_bytes(self.kind)
        rows = [self.kind.numbers(pool.bytes(expert * row, row)) for expert in chosen[:cases.PAIRS]]
        x, w, dy = (list(inputs.floats(values[name][2])[:count]) for name, count in (("x", width), ("w", cases.PAIRS), ("dy", width)))
        expected = reference.mix(x, rows, w) if self.entry == "mix" else reference.mix_gradient(x, rows, w, dy)
        if cases.error_share(self.results[0].raw()[:4 * width], array.array("f", expected).tobytes()) > 0:
            raise AssertionError(f"{self.entry} of {self.kind.name} rows, D = {width}: the first token differs from the reference")


def measure(size, stored, folder, library, repeat):
    """The table's lines for pools of one width."""
    values = {"x": inputs.normal(1, size.tokens, size.width), "w": inputs.normal(2, size.tokens, 8, 16), "dy": inputs.normal(3, size.tokens, size.width)}
    tensors, scales, found = {name: Tensor(*value) for name, value in values.items()}, {}, []
    for kind in KINDS:
        fixed = {**{name: tensor.view() for name, tensor in tensors.items()}, "pool": stored[kind.name].of(size.experts, 2, size.width)}
        if kind.scale is not None:
            scales[kind.name] = Mapped("f32", 8 * size.experts, struct.pack("<f", kind.scale) * (1 << 16))
            fixed["scales"] = scales[kind.name].of(size.experts, 2)
        path = folder / f"{kind.name}_{size.width}.mlir"
        path.write_text(description(size, kind), encoding="utf-8")
        subprocess.run([ROOT / "build/bin/peer-opt", path, "--target=cpu", "-o", path.with_suffix(".peer")], check=True)
        model = Model(str(ROOT / "build/lib/libpeer_runtime.so"), str(path.with_suffix(".peer")))
        found += [Case(size, kind, model, entry, fixed) for entry in model.entries]
    source = random.Random(size.width)
    pairs = size.tokens * cases.PAIRS
    draw = lambda: Tensor("i32", [size.tokens, 8, 16], bits(source, pairs, size.experts - 1, 0))
    streams, gathers = [], {kind.name: [] for kind in KINDS if kind.name != "fp8"}

    def gather(kind):
        idx, floats = draw(), size.row_bytes(kind) // 4
        start = time.perf_counter()
        library.gather(ctypes.c_void_p(stored[kind.name].address), idx.memory, ctypes.c_int64(pairs), ctypes.c_int64(floats))
        gathers[kind.name].append(time.perf_counter() - start)

    def stream():
        count = min(STREAMED, stored["f32"].count)
        at = len(streams) * count % stored["f32"].count
        start = time.perf_counter()
        library.stream(ctypes.c_void_p(stored["f32"].address + at), ctypes.c_int64(count // 4))
        streams.append(count / (time.perf_counter() - start))

    def call(case):
        idx = draw()
        case.seconds.append(case.run(idx.view()))
        if len(case.seconds) == 1:
            case.check(stored[case.kind.name], array.array("i", idx.raw()), values)

    turns = [stream, *(lambda kind=kind: gather(kind) for kind in KINDS if kind.name in gathers), *(lambda case=case: call(case) for case in found)]
    for number in range(repeat + 1):
        for turn in range(len(turns)):
            turns[(number + turn) % len(turns)]()
    # The first round warms up.
    middle = lambda values: statistics.median(list(values)[1:])
    print(f"D = {size.width}, {chart.short(size.experts)} experts, T = {size.tokens}: the stream is {middle(streams) * 1e-9:.1f} GB/s", flush=True)
    first = {case.entry: case.seconds for case in found if case.kind.name == "f32"}
    everything = [*((f"{case.entry}, {case.kind.name}", case.kind, case.seconds, first[case.entry], case.kind.target) for case in found),
                  *((f"gather of {size.row_bytes(kind)} bytes", kind, gathers[kind.name], gathers["f32"], "") for kind in KINDS if kind.name in gathers)]
    for what, kind, seconds, base, target in everything:
        moved = pairs * size.row_bytes(kind)
        share = middle(100 * moved / each / rate for each, rate in zip(seconds, streams))
        ratio = middle(one / each for one, each in zip(base, seconds))
        yield [str(size.width), what, f"{middle(seconds) * 1e3:.2f}", f"{moved / middle(seconds) * 1e-9:.1f}", f"{share:.0f} %",
               "" if kind.name == "f32" else f"{ratio:.2f}x", target]


def main(arguments):
    parser = argparse.ArgumentParser(prog="./dev bench mix-rows", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=31, metavar="R", help="rounds to time [31]")
    parser.add_argument("--quick", action="store_true", help="small pools, which caches hold: figures say nothing")
    options = parser.parse_args(arguments)
    if options.repeat < 1:
        parser.error(f"--repeat is {options.repeat}, expected 1 or more")
    shrink = 64 if options.quick else 1
    sizes = [Size(width, (1 << 28) // width // shrink, (1 << 18) // width // min(shrink, 16)) for width in (256, 1024)]
    cases.need_memory(1 if options.quick else 5)
    os.environ.setdefault("OMP_PROC_BIND", "true")
    library = peer_side.gather_library(ROOT / "build")
    lines = []
    with tempfile.TemporaryDirectory(prefix="peer-bench-", dir=ROOT / "build") as folder:
        stored = pools(2 * sizes[0].width * sizes[0].experts)
        try:
            for size in sizes:
                lines += measure(size, stored, pathlib.Path(folder), library, options.repeat)
        except (AssertionError, RuntimeError, subprocess.CalledProcessError) as error:
            sys.exit(f"mix-rows: error: {error}")
    print(chart.markdown([["D", "what", "ms", "GB/s", "of stream", "to f32", "target"], *lines]))
    return 0
