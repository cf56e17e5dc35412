"""Makes the last element of an f32 tensor in a safetensors file infinite. Usage: plant_infinity.py FILE TENSOR."""
import struct
import sys

import tensors

path, name = sys.argv[1:]
header, start = tensors.header(path)
with open(path, "r+b") as file:
    file.seek(start + header[name]["data_offsets"][1] - 4)
    file.write(struct.pack("<f", float("inf")))
