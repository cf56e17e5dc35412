"""Writes inputs that the entry `logits` of nano_lm.mlir must refuse. Usage: bad_inputs.py FOLDER"""
import os
import sys

import tensors

VARIANTS = {
    "unknown": {"tokens": tensors.integers([16], [0] * 16), "token": tensors.integers([16], [0] * 16)},
    "none": {},
    "dtype-of-input": {"tokens": tensors.floats([16], [0] * 16)},
    "part": {"tokens": tensors.integers([15], [0] * 15)},
    "value": {"tokens": tensors.integers([16], [0, 1, 255, 256] + [0] * 12)},
}
for name, variant in VARIANTS.items():
    tensors.save(os.path.join(sys.argv[1], name + ".safetensors"), variant)
