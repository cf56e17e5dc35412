"""One description, two targets: what compiles for the CPU compiles for a GPU and computes the same there, and what is refused is
refused by both with the same words.

Usage: both_targets.py LIBRARY DESCRIPTION.mlir ... Each file holds descriptions separated by `// -----`. Works in the current directory.
"""
import array
import random
import struct
import subprocess
import sys

from artifact import SIZES, manifest as manifest_of
from peer_api import Model

CODES = {"f32": "f", "f64": "d", "i32": "i", "i64": "q", "i8": "b", "i16": "h"}
TOLERANCE = {"bf16": 2e-2, "f16": 2e-3}


def float_bytes(dtype, values):
    if dtype == "bf16":
        return b"".join(struct.pack("<f", value)[2:] for value in values)
    if dtype == "f16":
        return struct.pack(f"<{len(values)}e", *values)
    return array.array(CODES[dtype], values).tobytes()


def values_of(dtype, data):
    if dtype == "f16":
        return struct.unpack(f"<{len(data) // 2}e", data)
    if dtype == "bf16":
        return [struct.unpack("<f", b"\0\0" + data[i:i + 2])[0] for i in range(0, len(data), 2)]
    return list(array.array(CODES[dtype], data))


def make_input(argument, tokens, rng):
    shape = [tokens if size == "T" else size for size in argument["shape"]]
    count = 1
    for size in shape:
        count *= size
    dtype = argument["dtype"]
    if dtype.startswith("f") or dtype == "bf16":
        values = [rng.uniform(-2, 2) for _ in range(count)]
        return dtype, shape, float_bytes(dtype, values)
    low, high = argument.get("range", [0, 5])
    return dtype, shape, array.array(CODES[dtype], [rng.randrange(max(low, -100), min(high, 100)) for _ in range(count)]).tobytes()


def differs(a, b):
    if a[:2] != b[:2]:
        return f"{a[:2]} and {b[:2]}"
    exact = not (a[0].startswith("f") or a[0] == "bf16")
    for x, y in zip(values_of(a[0], a[2]), values_of(b[0], b[2])):
        close = x == y or (x != x and y != y) or (not exact and abs(x - y) <= TOLERANCE.get(a[0], 1e-4) * (1 + abs(x)))
        if not close:
            return f"{x} and {y}"
    return None


def run(library, manifest):
    """Calls each entry on both targets, with no tokens, a few and more of them; says what differs."""
    models = [Model(library, f"{target}.peer", device=device) for target, device in (("cpu", "cpu"), ("sm_90", "sim"))]
    for model in models:
        model.init(1)
    rng, calls = random.Random(1), 0
    for entry in manifest["entries"]:
        dims = entry.get("dims", {}).get("T")
        outputs = [result["name"] for result in entry["results"] if "check" not in result]
        multiple = dims.get("multiple_of", 1) if dims else 0
        for tokens in [0, multiple, 3 * multiple] if dims else [0]:
            if dims and tokens > dims.get("max", tokens):
                continue
            inputs = {a["name"]: make_input(a, tokens, rng) for a in entry["arguments"] if a["role"] == "input"}
            scalars = {a["name"]: 0.5 if a["name"].startswith("learning_rate") else 1 if a["name"] == "step" else 0
                       for a in entry["arguments"] if a["role"] == "scalar"}
            found = [model.call(entry["name"], inputs, scalars, outputs) for model in models]
            for name in outputs:
                if difference := differs(found[0][name], found[1][name]):
                    return f"@{entry['name']} with {tokens} tokens: '{name}' DIFFERS: {difference}"
            calls += 1
    return f"runs: {calls} calls"


def check(library, text):
    with open("m.mlir", "w") as file:
        file.write(text)
    said = [subprocess.run(["peer-opt", "m.mlir", f"--target={target}", "--ptxas=none", "-o", f"{target}.peer"], stderr=subprocess.PIPE,
                           text=True) for target in ("cpu", "sm_90")]
    codes = [each.returncode for each in said]
    errors = [[line for line in each.stderr.splitlines() if "error:" in line] for each in said]
    if codes == [1, 1] and errors[0] == errors[1] and len(errors[0]) == 1:
        return "refused: " + errors[0][0].split("error: ")[1]
    if codes != [0, 0]:
        return f"DIFFERS: cpu {codes[0]} {said[0].stderr[-1500:]}\nsm_90 {codes[1]} {said[1].stderr[-1500:]}"
    try:
        return run(library, manifest_of("cpu.peer"))
    except RuntimeError as error:
        return f"DIFFERS: {error}"


def main():
    for path in sys.argv[2:]:
        with open(path) as file:
            for text in file.read().split("// -----\n"):
                title = next((line[3:] for line in text.splitlines() if line.startswith("// ")), "?")
                print(f"{title}: {check(sys.argv[1], text)}", flush=True)


main()
