"""Makes the last element of an f32 tensor in a safetensors file infinite. Usage: plant_infinity.py FILE TENSOR."""
import json
import struct
import sys

path, name = sys.argv[1:]
with open(path, "r+b") as file:
    size, = struct.unpack("<Q", file.read(8))
    end = json.loads(file.read(size))[name]["data_offsets"][1]
    file.seek(8 + size + end - 4)
    file.write(struct.pack("<f", float("inf")))
