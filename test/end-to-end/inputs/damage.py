"""Makes damaged copies of an artifact and of safetensors files. Usage: damage.py artifact|safetensors SOURCE FOLDER"""
import json
import os
import sys

import tensors
from artifact import FOOTER_BYTES, description, fnv1a, pack, unpack


def damage_artifact(data, put):
    code, manifest, version, checksum = unpack(data)
    text = description(data)
    assert fnv1a(code + manifest + text) == checksum and pack(code, manifest, version, text) == data
    put("truncated.peer", data[:-1000])
    put("cut.peer", data[:len(data) // 2])
    put("footer-only.peer", data[-FOOTER_BYTES:])
    put("empty.peer", b"")
    put("text.peer", b"not an artifact\n" * 10)
    flipped = bytearray(data)
    flipped[len(data) // 3] ^= 1
    put("flipped.peer", flipped)
    put("version.peer", pack(code, manifest, version + 1))
    # The manifest's own fields, as a compiler for another machine, or of another time, would write them.
    changed = json.loads(manifest)
    changed["target"]["features"] = ["sse2", "amx-complex-of-2040"]
    put("cpu.peer", pack(code, json.dumps(changed).encode(), version))
    changed = json.loads(manifest)
    changed["target"]["device"] = "tpu"
    put("device.peer", pack(code, json.dumps(changed).encode(), version))
    changed = json.loads(manifest)
    changed["format"] += 1
    put("manifest-version.peer", pack(code, json.dumps(changed).encode(), version))
    changed = json.loads(manifest)
    # 2^40 rows of 32 floats: more than any machine's memory.
    changed["parameters"][-1]["shape"][0] = 1 << 40
    for entry in changed["entries"]:
        for argument in entry["arguments"]:
            if argument["name"].startswith(changed["parameters"][-1]["name"]):
                argument["shape"][0] = 1 << 40
    put("huge.peer", pack(code, json.dumps(changed).encode(), version))


def damage_safetensors(source, folder, put):
    with open(source, "rb") as file:
        data = file.read()
    header, start = tensors.split(data)
    body = data[start:]
    names = sorted((name for name in header if name != "__metadata__"), key=lambda name: header[name]["data_offsets"])
    put("truncated.safetensors", data[:-100])
    put("cut-header.safetensors", data[:start // 2])
    put("short.safetensors", data[:5])
    put("no-json.safetensors", data[:8] + b"x" * (start - 8) + body)

    def variant(name, change):
        changed, _ = tensors.split(data)
        change(changed)
        tensors.write(os.path.join(folder, name), changed, body)

    def shift(header, name, by):
        header[name]["data_offsets"] = [offset + by for offset in header[name]["data_offsets"]]

    variant("overlapping.safetensors", lambda header: shift(header, names[1], -4))
    variant("out-of-range.safetensors", lambda header: shift(header, names[-1], 1 << 40))
    variant("dtype.safetensors", lambda header: header["ffw.keys"].update(dtype="I32"))
    variant("shape.safetensors", lambda header: header["head"].update(shape=header["head"]["shape"][::-1]))
    tensors.save(os.path.join(folder, "extra.safetensors"), {**tensors.load(source), "bias": tensors.floats([2], [0, 0])})
    less = tensors.load(source)
    del less["head"]
    tensors.save(os.path.join(folder, "less.safetensors"), less)


def main():
    kind, source, folder = sys.argv[1:]
    os.makedirs(folder, exist_ok=True)

    def put(name, contents):
        with open(os.path.join(folder, name), "wb") as file:
            file.write(contents)

    if kind == "artifact":
        with open(source, "rb") as file:
            damage_artifact(file.read(), put)
    else:
        damage_safetensors(source, folder, put)


main()
