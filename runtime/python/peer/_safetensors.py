"""Safetensors files read and written in pieces, without any package: tables are larger than what one wants in memory."""
import array
import json
import os
import pathlib
import struct
import tempfile

from ._library import Error

BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1, "U16": 2, "U32": 4, "U64": 8,
         "F8_E4M3": 1, "F8_E5M2": 1}
WIDENED = ("F16", "BF16")
# What is read at once.
PIECE = 1 << 22


class Stored:
    """A tensor of a file."""

    def __init__(self, path, name, dtype, shape, offset):
        self.path, self.name, self.dtype, self.shape, self.offset = path, name, dtype, tuple(shape), offset
        self.count = 1
        for size in shape:
            self.count *= size

    def raw(self, first=0, count=None):
        """Bytes of `count` elements from `first`."""
        size = BYTES[self.dtype]
        with open(self.path, "rb") as file:
            file.seek(self.offset + first * size)
            return file.read((self.count if count is None else count) * size)

    def floats(self, first=0, count=None):
        """Elements as f32; those of f16 and bf16 are widened."""
        raw = self.raw(first, count)
        if self.dtype == "BF16":
            wide = bytearray(2 * len(raw))
            wide[2::4], wide[3::4] = raw[0::2], raw[1::2]
            raw = wide
        elif self.dtype == "F16":
            return array.array("f", struct.unpack(f"<{len(raw) // 2}e", raw))
        elif self.dtype != "F32":
            raise Error(f"{self.path}: {self.name} is {self.dtype}; expected F32, BF16 or F16")
        return array.array("f", bytes(raw))

    def pieces(self):
        step = PIECE // BYTES[self.dtype]
        for first in range(0, self.count, step):
            yield self.raw(first, min(step, self.count - first))


def _read_one(path):
    def bad(what):
        return Error(f"{path} is no safetensors file: {what}")
    try:
        size = os.path.getsize(path)
        with open(path, "rb") as file:
            start = file.read(8)
            length = struct.unpack("<Q", start)[0] if len(start) == 8 else size
            if 8 + length > size:
                raise bad(f"it has {size} bytes, too few for its header (files of torch.save are saved again by safetensors.torch.save_file)")
            header = json.loads(file.read(length))
    except OSError as error:
        raise Error(f"cannot open {path}: {error.strerror}") from None
    except ValueError:
        raise bad("its header is no JSON") from None
    tensors = {}
    if not isinstance(header, dict):
        raise bad("its header is no JSON object")
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        try:
            dtype, shape, (begin, end) = entry["dtype"], entry["shape"], entry["data_offsets"]
            tensor = Stored(path, name, dtype, shape, 8 + length + begin)
            fits = 0 <= begin and min(shape, default=0) >= 0 and end - begin == tensor.count * BYTES[dtype] and 8 + length + end <= size
        except (KeyError, TypeError, ValueError):
            raise bad(f"the entry of {name} lacks a known dtype, a shape or data_offsets") from None
        if not fits:
            raise bad(f"{name} is {dtype} {list(shape)}, which its bytes {begin} to {end} do not hold")
        tensors[name] = tensor
    return tensors


def read(path):
    """The tensors of a file by name, of the files that an index (*.index.json) lists, or of a folder with either."""
    path = pathlib.Path(path)
    if path.is_dir():
        found = [path / name for name in ("model.safetensors.index.json", "model.safetensors") if (path / name).exists()]
        if not found:
            raise Error(f"the folder {path} holds neither model.safetensors.index.json nor model.safetensors")
        path = found[0]
    if path.suffix != ".json":
        return _read_one(path)
    try:
        places = json.loads(path.read_text(encoding="utf-8"))["weight_map"]
        files = {name: _read_one(path.parent / name) for name in sorted(set(places.values()))}
    except OSError as error:
        raise Error(f"cannot open {path}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise Error(f"{path} is no index of safetensors files: expected an object \"weight_map\" of names and files") from None
    for name, file in places.items():
        if name not in files[file]:
            raise Error(f"{path}: {file} lacks {name}, which the index says is there")
    return {name: files[file][name] for name, file in places.items()}


def write(path, tensors):
    """Writes (name, dtype, shape, pieces), pieces an iterable of bytes or arrays; the file appears whole or not at all."""
    path, header, offset = pathlib.Path(path), {}, 0
    for name, dtype, shape, _ in tensors:
        count = BYTES[dtype]
        for size in shape:
            count *= size
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [offset, offset + count]}
        offset += count
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)

    def fill(file):
        file.write(struct.pack("<Q", len(text)) + text)
        for _, _, _, pieces in tensors:
            for piece in pieces:
                file.write(piece)
    atomically(path, fill)


def atomically(path, fill):
    """Calls fill(file), and gives the file its name when it is complete."""
    path = pathlib.Path(path)
    made = None
    try:
        handle, made = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            fill(file)
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(made, 0o666 & ~mask)
        os.replace(made, path)
    except OSError as error:
        raise Error(f"cannot write {path}: {error.strerror}") from None
    finally:
        if made and os.path.exists(made):
            os.unlink(made)
