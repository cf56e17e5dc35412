"""Makes damaged copies of an artifact and of safetensors files. Usage: damage.py artifact|safetensors SOURCE FOLDER"""
import json
import os
import struct
import sys

import tensors

FOOTER = "<8sIIQQQQ"  # runtime/README.md
FOOTER_BYTES = struct.calcsize(FOOTER)


def fnv1a(data):
    value = 0xCBF29CE484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return value


def pack(code, manifest, version):
    """An artifact whose footer and checksum are right for whatever it holds."""
    body = code + manifest
    return body + struct.pack(FOOTER, b"PEERART\0", version, 0, len(code), len(manifest), fnv1a(body), 0)


def damage_artifact(data, put):
    _, version, _, code_bytes, manifest_bytes, checksum, _ = struct.unpack(FOOTER, data[-FOOTER_BYTES:])
    code, manifest = data[:code_bytes], data[code_bytes:code_bytes + manifest_bytes]
    assert fnv1a(code + manifest) == checksum and pack(code, manifest, version) == data
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
    changed["format"] = version + 1
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
    length = struct.unpack("<Q", data[:8])[0]
    header, body = json.loads(data[8:8 + length]), data[8 + length:]
    names = sorted((name for name in header if name != "__metadata__"), key=lambda name: header[name]["data_offsets"])
    put("truncated.safetensors", data[:-100])
    put("cut-header.safetensors", data[:length // 2])
    put("short.safetensors", data[:5])
    put("no-json.safetensors", data[:8] + b"x" * length + body)

    def variant(name, change):
        changed = json.loads(data[8:8 + length])
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
