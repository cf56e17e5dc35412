"""Sets a parameter that is one number. Usage: set_number.py FROM TO NAME VALUE, both safetensors files."""
import sys

import tensors

source, target, name, value = sys.argv[1:]
everything = tensors.load(source)
dtype, shape, values = everything[name]
if shape:
    sys.exit(f"{name} has the shape {shape}")
values[0] = float(value)
tensors.save(target, everything)
