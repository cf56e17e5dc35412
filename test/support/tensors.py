"""Safetensors files without any package: name -> (dtype, shape, values), values an array of f32, i32 or i8."""
import array
import json
import struct

CODES = {"F32": "f", "I32": "i", "I8": "b"}


def split(data):
    """(header, where the data begins) of a file's bytes."""
    length = struct.unpack_from("<Q", data)[0]
    return json.loads(bytes(data[8:8 + length])), 8 + length


def header(path):
    """(header, where the data begins) of a file that may be large."""
    with open(path, "rb") as file:
        start = file.read(8)
        return split(start + file.read(struct.unpack("<Q", start)[0]))


def load(path):
    with open(path, "rb") as file:
        data = file.read()
    entries, body = split(data)
    tensors = {}
    for key, entry in entries.items():
        if key == "__metadata__":
            continue
        begin, end = (body + offset for offset in entry["data_offsets"])
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
    with open(path, "wb") as file:
        file.write(join(header, body))


def join(header, body):
    """A file's bytes."""
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + body


def floats(shape, values):
    return ("F32", list(shape), array.array("f", values))


def integers(shape, values):
    return ("I32", list(shape), array.array("i", values))
