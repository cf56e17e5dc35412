"""What an artifact's manifest says its parameters and states take; runtime/README.md describes both."""
import json
import struct

SIZES = {"f32": 4, "bf16": 2, "i32": 4, "i64": 8}


def manifest(path):
    with open(path, "rb") as file:
        data = file.read()
    code, length = struct.unpack("<QQ", data[-32:-16])
    return json.loads(data[code:code + length])


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
