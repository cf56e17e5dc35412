"""Compares what peer-run quantize wrote with the definition: check_quantize.py BEFORE AFTER TABLE ZERO.
ZERO is written: the same weights with all scales zero.

Quotients of two f32, rounded from double precision to f32, are those that f32 arithmetic gives: doubles have more than twice
the digits.
"""
import array
import struct
import sys

import tensors


def f32(value):
    return struct.unpack("f", struct.pack("f", value))[0]


def quantize(vector):
    scale = f32(max(map(abs, vector)) / 127) or 1.0
    return scale, [round(f32(value / scale)) for value in vector]


def main():
    before, after, table = tensors.load(sys.argv[1]), tensors.load(sys.argv[2]), sys.argv[3]
    others = [name for name in before if name != table]
    assert set(after) == {*before, table + ".scale"}, sorted(after)
    print(f"other tensors unchanged: {all(before[name] == after[name] for name in others)}")
    dtype, shape, values = before[table]
    width = shape[2]
    expected = [quantize(values[i:i + width]) for i in range(0, len(values), width)]
    found, scales = after[table], after[table + ".scale"]
    assert (dtype, found[0], scales[0]) == ("F32", "I8", "F32") and found[1] == shape and scales[1] == shape[:2]
    print(f"scales as defined: {list(scales[2]) == [scale for scale, _ in expected]}")
    print(f"values as defined: {list(found[2]) == [value for _, vector in expected for value in vector]}")
    print(f"vectors: {len(expected)}, largest value {max(map(abs, found[2]))}")
    zeros = array.array("f", bytes(4 * len(expected)))
    tensors.save(sys.argv[4], {**after, table + ".scale": (*scales[:2], zeros)})


main()
