"""Safetensors files without any package: name -> (dtype, shape, values), values an array of f32, i32 or i8."""
import array
import json
import struct

CODES = {"F32": "f", "I32": "i", "I8": "b"}


def load(path):
    with open(path, "rb") as file:
        data = file.read()
    length = struct.unpack("<Q", data[:8])[0]
    tensors = {}
    for key, entry in json.loads(data[8:8 + length]).items():
        if key == "__metadata__":
            continue
        begin, end = (8 + length + offset for offset in entry["data_offsets"])
        values = array.array(CODES[entry["dtype"]], data[begin:end])
        tensors[key] = (entry["dtype"], entry["shape"], values)
    return tensors


def save(path, tensors):
    header, body = {}, b""
    for key, (dtype, shape, values) in tensors.items():
        begin = len(body)
        body += values.tobytes()
        header[key] = {"dtype": dtype, "shape": shape, "data_offsets": [begin, len(body)]}
    write(path, header, body)


def write(path, header, body):
    """A file with any header, also one that no file should have."""
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + body)


def floats(shape, values):
    return ("F32", list(shape), array.array("f", values))


def integers(shape, values):
    return ("I32", list(shape), array.array("i", values))
