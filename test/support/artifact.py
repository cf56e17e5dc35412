"""Artifacts as files: object, manifest, footer; runtime/README.md describes them."""
import json
import struct

FOOTER = "<8sIIQQQQ"
FOOTER_BYTES = struct.calcsize(FOOTER)
SIZES = {"f64": 8, "f32": 4, "bf16": 2, "f16": 2, "i64": 8, "i32": 4, "i16": 2, "i8": 1, "f8_e4m3": 1}


def fnv1a(data):
    value = 0xCBF29CE484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return value


def pack(code, manifest, version=1, description=b""):
    """The bytes of an artifact whose footer and checksum are right for whatever it holds."""
    body = code + manifest + description
    return body + struct.pack(FOOTER, b"PEERART\0", version, 0, len(code), len(manifest), fnv1a(body), len(description))


def unpack(data):
    """(code, manifest, version, checksum) of an artifact's bytes; the description lies between the manifest and the footer."""
    _, version, _, code, manifest, checksum, _ = struct.unpack(FOOTER, data[-FOOTER_BYTES:])
    return data[:code], data[code:code + manifest], version, checksum


def description(data):
    """The text that an artifact was compiled from."""
    return data[-FOOTER_BYTES - struct.unpack(FOOTER, data[-FOOTER_BYTES:])[6]:-FOOTER_BYTES]


def manifest(path):
    with open(path, "rb") as file:
        return json.loads(unpack(file.read())[1])


def size(tensor):
    total = SIZES[tensor["dtype"]]
    for dim in tensor["shape"]:
        total *= dim
    return total


def kept_by_training(path):
    """(bytes of the parameters, bytes of the train entry's optimizer states)."""
    model = manifest(path)
    train = next(entry for entry in model["entries"] if entry["kind"] == "train")
    return (sum(map(size, model["parameters"])), sum(size(a) for a in train["arguments"] if a["role"] == "state"))
