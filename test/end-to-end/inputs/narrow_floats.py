"""Arithmetic on bf16 and f16 against Python's doubles, bit for bit: conversions both ways and one rounding per op, to nearest, ties to even.

Usage: narrow_floats.py LIBRARY. Works in the current directory.
"""
import array
import math
import random
import struct
import subprocess
import sys

from peer_api import Model

MODEL = """
func.func @f(%x: tensor<?xTYPE> {peer.name = "x"}, %y: tensor<?xTYPE> {peer.name = "y"}, %d: tensor<?xf64> {peer.name = "d"}, %i: tensor<?xi32> {peer.name = "i"})
    -> (tensor<?xTYPE> {peer.name = "product"}, tensor<?xf64> {peer.name = "wide"}, tensor<?xTYPE> {peer.name = "narrow"}, tensor<?xTYPE> {peer.name = "count"}) {
  %product = arith.mulf %x, %y : tensor<?xTYPE>
  %wide = arith.extf %x : tensor<?xTYPE> to tensor<?xf64>
  %narrow = arith.truncf %d : tensor<?xf64> to tensor<?xTYPE>
  %count = arith.sitofp %i : tensor<?xi32> to tensor<?xTYPE>
  return %product, %wide, %narrow, %count : tensor<?xTYPE>, tensor<?xf64>, tensor<?xTYPE>, tensor<?xTYPE>
}
"""
# Bits of the fraction, the exponent of the least normal number, and the bits of infinity.
FORMATS = {"bf16": (7, -126, 0x7f80), "f16": (10, -14, 0x7c00)}


def decode(bits, fraction, least, infinity):
    sign, magnitude = (-1.0 if bits & 0x8000 else 1.0), bits & 0x7fff
    if magnitude >= infinity:
        return sign * math.inf if magnitude == infinity else math.nan
    exponent, rest = magnitude >> fraction, magnitude & ((1 << fraction) - 1)
    if exponent == 0:
        return sign * math.ldexp(rest, least - fraction)
    return sign * math.ldexp((1 << fraction) + rest, exponent - 1 + least - fraction)


def encode(value, fraction, least, infinity):
    """The nearest number's bits; None for any that is not a number."""
    if math.isnan(value):
        return None
    sign = 0x8000 if math.copysign(1, value) < 0 else 0
    value = abs(value)
    if math.isinf(value):
        return sign | infinity
    exponent = max(math.frexp(value)[1] - 1, least) if value else least
    # Python's round is exact, and to even. A carry moves into the exponent, and past the last one to infinity.
    digits = round(math.ldexp(value, fraction - exponent))
    return sign | min(((exponent - least) << fraction) + digits, infinity)


def main():
    rng = random.Random(1)
    for dtype, numbers in FORMATS.items():
        fraction, least, infinity = numbers
        with open("m.mlir", "w") as file:
            file.write(MODEL.replace("TYPE", dtype))
        # No instructions for either format: what is tested is what all machines do.
        for target, device in (("cpu:x86-64", "cpu"), ("sm_90", "sim")):
            subprocess.run(["peer-opt", "m.mlir", f"--target={target}", "--ptxas=none", "-o", "m.peer"], check=True)
            few = device == "sim"
            x = list(range(0, 1 << 16, 97 if few else 1))
            y = [rng.randrange(1 << 16) for _ in x]
            # Around numbers halfway between two neighbours, where each further bit decides; beyond the largest, and nothing at all.
            halves = [(decode(b, *numbers) + decode(b + 1, *numbers)) / 2 for b in rng.choices(range(infinity), k=len(x))]
            d = [rng.choice([1, -1]) * half * rng.choice([1, 1 + 2**-52, 1 - 2**-53, 1 + 2**-26, 1 - 2**-30]) for half in halves]
            d[:4] = [1e300, -1e-300, math.nan, -math.inf]
            i = [rng.getrandbits(rng.randrange(1, 31)) * rng.choice([1, -1]) for _ in x]
            model = Model(sys.argv[1], "m.peer", device=device)
            inputs = {"x": (dtype, [len(x)], array.array("H", x).tobytes()), "y": (dtype, [len(x)], array.array("H", y).tobytes()),
                      "d": ("f64", [len(x)], array.array("d", d).tobytes()), "i": ("i32", [len(x)], array.array("i", i).tobytes())}
            found = {name: data for name, (_, _, data) in model.call("f", inputs, {}, ["product", "wide", "narrow", "count"]).items()}
            wide = [decode(b, *numbers) for b in x]
            expected = {"product": [encode(a * decode(b, *numbers), *numbers) for a, b in zip(wide, y)],
                        "narrow": [encode(v, *numbers) for v in d], "count": [encode(float(v), *numbers) for v in i]}
            for a, b, bits in zip(wide, array.array("d", found["wide"]), x):
                assert struct.pack("<d", a) == struct.pack("<d", b) or (a != a and b != b), f"{dtype} {target}: {bits:04x} is {a}, not {b}"
            for name, values in expected.items():
                for at, (want, got) in enumerate(zip(values, array.array("H", found[name]))):
                    is_nan = (got & 0x7fff) > infinity
                    assert got == want or (want is None and is_nan), f"{dtype} {target}: {name} {at}: {got:04x}, expected {want}"
            print(f"{dtype} {target}: agrees")


main()
