"""Weights as people have them: in files that are something else, in several files, under other names.

Usage: weight_files.py FOLDER MODEL.peer WEIGHTS: paths are within the folder, where kinds/ and out/ are.
"""
import gzip
import io
import json
import os
import pickle
import struct
import subprocess
import sys
import tarfile
import zipfile

import tensors

os.chdir(sys.argv[1])
model, weights = sys.argv[2:]
problems = []


def run(*arguments, timeout=120):
    result = subprocess.run(["peer-run", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout)
    return result.returncode, result.stdout, result.stderr.decode()


def refused(expected, *arguments):
    """One sentence with these words, nothing printed, nothing written."""
    before = sorted(os.listdir("out"))
    code, out, error = run(*arguments)
    good = code == 1 and error.startswith("peer-run: error: ") and error.count("\n") == 1 and expected in error
    if not good or sorted(os.listdir("out")) != before:
        problems.append(f"{' '.join(arguments)}: exit code {code}, {error!r}, expected {expected!r}")


def write(path, data):
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    with open(path, "wb") as file:
        file.write(data)
    return path


def zipped(*members):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as file:
        for member in members:
            file.writestr(member, b"x" * 100)
    return data.getvalue()


def tarred():
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as file:
        file.addfile(tarfile.TarInfo("model.safetensors"), io.BytesIO())
    return data.getvalue()


whole = open(weights, "rb").read()
tensors.save("in.safetensors", {"tokens": tensors.integers([16], list(range(16)))})
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 1234567890\n"
KINDS = [
    (LFS, "is a Git LFS pointer to a file of 1.2 GB, not that file: run git lfs pull"),
    (zipped("archive/data.pkl", "archive/version"), "is a PyTorch checkpoint (a zip of pickles): convert it"),
    (zipped("a.npy", "b.npy"), "is a NumPy archive (.npz)"),
    (zipped("model.safetensors"), "is a zip archive: unpack it"),
    (pickle.dumps({"a": [1.0]}, 2), "is a Python pickle, as PyTorch's .bin and .pt files are"),
    (b"GGUF\3\0\0\0" + bytes(64), "is a GGUF file of llama.cpp"),
    (b"\n <!DOCTYPE HTML><html><body>Sign in</body></html>", "is an HTML page, not the file it was downloaded for"),
    (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "is an XML document"),
    (gzip.compress(whole), "is compressed with gzip: unpack it first"),
    (tarred(), "is a tar archive"),
    (b"\x93NUMPY\1\0" + bytes(64), "is a NumPy array (.npy)"),
    (b"", "is empty"),
    (bytes(5000), "begins with nothing but zeros"),
    (open(model, "rb").read(), "is an ELF object, such as an artifact"),
    (b'{"architectures": ["Llama"], "hidden_size": 4096}', "is a JSON document, but no index of weights"),
    (b"// A model.\nfunc.func @f() { peer.param }\n", "is a model description: compile it with peer-opt"),
]
for number, (data, expected) in enumerate(KINDS):
    path = write(f"kinds/{number}", data)
    refused(f"{path} {expected}", "call", model, "logits", "--weights", path, "--in", "in.safetensors", "--out", "out/y")
    refused(f"{path} {expected}", "quantize", path, "--tensor", "a", "--out", "out/y")
    if "ELF" not in expected:
        other = "is a JSON document" if expected.startswith("is a JSON") else expected
        refused(f"{path} is empty" if not data else f"{path} is not a peer artifact: it {other}", "init", path, "--out", "out/y")
refused(f"{weights} is not a peer artifact: it is a safetensors file", "init", weights, "--out", "out/y")

# Tables without elements may claim any size.
for shape, words in (([2**40, 2**20, 0], "which has no elements to quantize"), ([0, 2**62, 2**62], "which has no elements")):
    tensors.write("hollow", {"t": {"dtype": "F32", "shape": shape, "data_offsets": [0, 0]}}, b"")
    refused(words, "quantize", "hollow", "--tensor", "t", "--out", "out/y")
tensors.write("hollow", {"t": {"dtype": "F32", "shape": [1, 1, 1], "data_offsets": [0, 4]},
                         "u": {"dtype": "F32", "shape": [0, 2**62, 2**62], "data_offsets": [0, 0]}}, bytes(4))
refused('tensor "u": shape [0, 4611686018427387904, 4611686018427387904] of f32 has more bytes', "quantize", "hollow",
        "--tensor", "t", "--out", "out/y")

# Several files and their index: the same numbers as from one file.
parameters = tensors.load(weights)


def logits(path, note=""):
    code, _, error = run("call", model, "logits", "--weights", path, "--in", "in.safetensors", "--out", "out/y")
    if code != 0 or (note not in error if note else error):
        problems.append(f"call with {path}: exit code {code}, {error!r}, expected {note!r}")
        return None
    return open("out/y", "rb").read()


expected = logits(weights)
names = sorted(parameters)
files = [f"model-{i + 1:05}-of-00003.safetensors" for i in range(3)]
place = {name: files[i % 3] for i, name in enumerate(names)}
INDEX = "model.safetensors.index.json"


def save_parts(folder, skip=(), weight_map=None):
    os.makedirs(folder, exist_ok=True)
    for file in files:
        if file not in skip:
            tensors.save(f"{folder}/{file}", {name: parameters[name] for name in names if place[name] == file})
    text = json.dumps({"metadata": {"total_size": 1}, "weight_map": weight_map or place}, indent=2)
    return write(f"{folder}/{INDEX}", text.encode())


index = save_parts("parts")
for path in (index, "parts", "parts/"):
    if logits(path) != expected:
        problems.append(f"{path}: other numbers than from one file")
if b"in %d tensors" % len(names) not in run("inspect", "parts")[1]:
    problems.append("inspect does not show all tensors of an index")


def inspect_refused(expected, path):
    refused(expected, "inspect", path)


inspect_refused("names 3 files, and beside it are missing model-00001-of-00003.safetensors, model-00003-of-00003.safetensors",
                save_parts("fewer", skip=(files[0], files[2])))
inspect_refused('puts tensors into files that do not hold them: "head"',
                save_parts("moved", weight_map=dict(place, head=next(f for f in files if f != place["head"]))))
inspect_refused('does not name tensors that its files hold: "head"',
                save_parts("unnamed", weight_map={name: file for name, file in place.items() if name != "head"}))
inspect_refused('into "../w.safetensors", expected a file beside the index',
                save_parts("outside", weight_map=dict(place, head="../w.safetensors")))
inspect_refused("weight_map must name a file for each tensor", save_parts("numbers", weight_map=dict(place, head=3)))
write("cut/" + INDEX, open(index, "rb").read()[:-10])
inspect_refused("is not an index of weights: it is not valid JSON", "cut")
write(save_parts("lfs").replace(INDEX, files[1]), LFS)
inspect_refused(f"lfs/{files[1]} is a Git LFS pointer", "lfs")
write("run/weights.safetensors", whole)
inspect_refused("run is a directory without an index of weights (NAME.safetensors.index.json): "
                "give one of its files (weights.safetensors)", "run")

# Other names: what is wrong is said at once, and what a wrapper puts before all names is left out, in one line.
for prefix in ("model.", "module.", "_orig_mod.module."):
    tensors.save("wrapped", {prefix + name: value for name, value in parameters.items()})
    if logits("wrapped", f'peer-run: note: the names of the tensors in wrapped begin with "{prefix}", which is left out\n') != expected:
        problems.append(f"{prefix}: other numbers than without it")


def weights_refused(expected, changed):
    tensors.save("changed", changed)
    refused(expected, "call", model, "logits", "--weights", "changed", "--in", "in.safetensors", "--out", "out/y")


two = [name for name in names if name.startswith("attention.0.")][:2]
less = {name: value for name, value in parameters.items() if name not in two}
lacks = f'changed lacks 2 parameters of {model}: "{two[1]}" (f32 [16]), "{two[0]}" (f32 [16, 16])'
weights_refused(lacks, less)
more = {f"extra.{i:02}": tensors.floats([1], [0]) for i in range(12)}
weights_refused(f'{lacks}; it holds 12 tensors that are no parameters of {model}: "extra.00", "extra.01", "extra.02", "extra.03", "extra.04", '
                '"extra.05", "extra.06", "extra.07" and 4 more', {**less, **more})
weights_refused(f'changed lacks the parameter "{names[0]}" (f32 [16, 16]) of {model} (names were compared without the prefix '
                '"module." that the file\'s have)',
                {"module." + name: parameters[name] for name in names[1:]})
turned = {**parameters, "head": ("F32", [256, 16], parameters["head"][2])}
weights_refused('tensor "head" is f32 [256, 16], expected f32 [16, 256] by ' + model + "; weights of peer.linear are in x out, "
                "those of PyTorch's state dicts out x in: transpose them", turned)

# 200,000 tensors take a second or two; a reader that looks at all others for each takes minutes.
count = 200_000
text = ",".join('"t%07d":{"dtype":"F32","shape":[1],"data_offsets":[%d,%d]}' % (i, 4 * i, 4 * i + 4) for i in range(count))
header = b"{" + text.encode() + b"}"
write("many", struct.pack("<Q", len(header)) + header + bytes(4 * count))
if b"in 200000 tensors" not in run("inspect", "many", timeout=60)[1]:
    problems.append("a file of 200,000 tensors is not read")

for problem in problems:
    print("PROBLEM:", problem)
sys.exit(1 if problems else 0)
