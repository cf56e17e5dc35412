"""Odd safetensors files, and what the reference reader (the Python package safetensors, 0.8.0) says to each: accepted or refused.

Usage: odd_safetensors.py FOLDER: writes them there and asks `peer-run inspect`, which must say the same in one sentence, and shows
the tensors of accepted ones. Where the package is installed, the answers written down here are compared with its own, too.
"""
import os
import struct
import subprocess
import sys

try:
    import safetensors
except ImportError:
    safetensors = None

A = '"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}'
LIMIT = 100_000_000
FOUR, EIGHT = b"\0" * 4, b"\0" * 8


def tensor(fields, name="a"):
    return '{"%s":{%s}}' % (name, fields)


def described(dtype="F32", shape="1", offsets="0,4", more=""):
    return tensor('"dtype":"%s","shape":[%s],"data_offsets":[%s]%s' % (dtype, shape, offsets, more))


# name, header, data
ACCEPTED = [
    ("plain", "{%s}" % A, FOUR),
    ("nothing", "{}", b""),
    ("metadata-empty", '{"__metadata__":{},%s}' % A, FOUR),
    ("metadata-null", '{"__metadata__":null,%s}' % A, FOUR),
    ("metadata-alone", '{"__metadata__":{"k":"v"}}', b""),
    ("metadata-last", '{%s,"__metadata__":{"k":"v"}}' % A, FOUR),
    ("metadata-key-twice", '{"__metadata__":{"k":"v","k":"w"},%s}' % A, FOUR),
    ("padded", "{%s}       " % A, FOUR),
    ("padded-with-lines", "{%s}\n\t\r " % A, FOUR),
    ("space-before", "  {%s}" % A, FOUR),
    ("space-within", "{ \n%s }" % A.replace(":", " : "), FOUR),
    ("unknown-field", described(more=',"note":"x"'), FOUR),
    ("unknown-field-nested", described(more=',"note":{"dtype":[1,{"a":2.5}],"b":null}'), FOUR),
    ("unknown-field-first", tensor('"note":[[]],"dtype":"F32","shape":[1],"data_offsets":[0,4]'), FOUR),
    ("unknown-huge-number", described(more=',"x":123456789012345678901234567890'), FOUR),
    ("deep", described(more=',"x":' + "[" * 100 + "]" * 100), FOUR),
    ("fields-as-list", '{"a":["F32",[1],[0,4]]}', FOUR),
    ("name-empty", tensor(A[5:-1], ""), FOUR),
    ("name-of-unicode", tensor(A[5:-1], "\u00e9\u4e2d"), FOUR),
    ("name-escaped", tensor(A[5:-1], "\\u00e9\\n\\\""), FOUR),
    ("name-surrogates", tensor(A[5:-1], "\\ud83d\\ude00"), FOUR),
    ("name-with-zero", tensor(A[5:-1], "a\\u0000b"), FOUR),
    ("scalar", described(shape=""), FOUR),
    ("no-elements", described(shape="0", offsets="0,0"), b""),
    ("no-elements-then-huge", described(shape="0,9223372036854775807", offsets="0,0"), b""),
    ("no-elements-between", '{%s,"z":{"dtype":"F32","shape":[0],"data_offsets":[4,4]},'
     '"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}' % A, EIGHT),
    ("no-elements-at-the-start", '{%s,"z":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}' % A, FOUR),
    ("unordered", '{"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]},%s}' % A, EIGHT),
    ("F6-whole-bytes", described("F6_E2M3", "4", "0,3"), b"\0" * 3),
]
ACCEPTED += [("dtype-" + name, described(name, "8", "0,%d" % bits), b"\0" * bits) for name, bits in {
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8, "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8,
    "I16": 16, "U16": 16, "F16": 16, "BF16": 16, "I32": 32, "U32": 32, "F32": 32, "C64": 64, "F64": 64, "I64": 64,
    "U64": 64, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6}.items()]

REFUSED = [
    ("metadata-list", '{"__metadata__":[],%s}' % A, FOUR),
    ("metadata-string", '{"__metadata__":"x",%s}' % A, FOUR),
    ("metadata-number", '{"__metadata__":{"k":1},%s}' % A, FOUR),
    ("metadata-value-null", '{"__metadata__":{"k":null},%s}' % A, FOUR),
    ("metadata-value-object", '{"__metadata__":{"k":{}},%s}' % A, FOUR),
    ("metadata-value-list", '{"__metadata__":{"k":[]},%s}' % A, FOUR),
    ("metadata-twice", '{"__metadata__":{"k":"v"},"__metadata__":{"k":"w"},%s}' % A, FOUR),
    ("padded-with-zeros", "{%s}\0\0\0" % A, FOUR),
    ("byte-order-mark", "\ufeff{%s}" % A, FOUR),
    ("field-twice", tensor('"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]'), FOUR),
    ("field-missing", tensor('"dtype":"F32","data_offsets":[0,4]'), FOUR),
    ("list-too-short", '{"a":["F32",[1]]}', FOUR),
    ("list-too-long", '{"a":["F32",[1],[0,4],1]}', FOUR),
    ("other-name-twice", '{%s,"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}' % A, EIGHT),
    ("name-half-surrogate", tensor(A[5:-1], "\\ud83d"), FOUR),
    ("name-not-utf8", tensor(A[5:-1], "\udce9"), FOUR),
    ("name-with-tab", tensor(A[5:-1], "a\tb"), FOUR),
    ("no-elements-within", '{%s,"z":{"dtype":"F32","shape":[0],"data_offsets":[2,2]}}' % A, FOUR),
    ("hole-at-the-start", described(offsets="4,8"), EIGHT),
    ("hole-between", '{%s,"b":{"dtype":"F32","shape":[1],"data_offsets":[8,12]}}' % A, EIGHT + FOUR),
    ("overlap", '{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},'
     '"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}', EIGHT + FOUR),
    ("same-range", '{%s,%s}' % (A, A.replace('"a"', '"b"')), FOUR),
    ("trailing-byte", "{%s}" % A, FOUR + b"x"),
    ("trailing-byte-of-nothing", "{}", b"x"),
    ("cut-off", "{%s}" % A, FOUR[:3]),
    ("shape-1.0", described(shape="1.0"), FOUR),
    ("shape-1e0", described(shape="1e0"), FOUR),
    ("shape-negative", described(shape="-1"), FOUR),
    ("shape-minus-zero", described(shape="-0", offsets="0,0"), b""),
    ("shape-01", described(shape="01"), FOUR),
    ("shape-of-strings", described(shape='"1"'), FOUR),
    ("shape-nested", described(shape="[1]"), FOUR),
    ("shape-null", tensor('"dtype":"F32","shape":null,"data_offsets":[0,4]'), FOUR),
    ("shape-NaN", described(shape="NaN"), FOUR),
    ("shape-overflows", described(shape="4611686018427387904,8", offsets="0,0"), b""),
    ("shape-overflows-before-zero", described(shape="9223372036854775807,4,0", offsets="0,0"), b""),
    ("offsets-three", described(offsets="0,4,4"), FOUR),
    ("offsets-one", described(offsets="0"), FOUR),
    ("offsets-backwards", described(offsets="4,0"), FOUR),
    ("offsets-overflow", described(offsets="18446744073709551612,18446744073709551616"), FOUR),
    ("dtype-lower-case", described("f32"), FOUR),
    ("dtype-unknown", described("F31"), FOUR),
    ("dtype-number", tensor('"dtype":32,"shape":[1],"data_offsets":[0,4]'), FOUR),
    ("dtype-I4", described("I4", "8", "0,4"), FOUR),
    ("dtype-C128", described("C128", "1", "0,16"), EIGHT * 2),
    ("F4-within-a-byte", described("F4", "3", "0,2"), FOUR[:2]),
    ("comma-too-many", "{%s,}" % A, FOUR),
    ("comment", "{%s /* x */}" % A, FOUR),
    ("two-objects", "{%s}{}" % A, FOUR),
    ("too-deep", described(more=',"x":' + "[" * 200 + "]" * 200), FOUR),
    ("number-too-large", described(more=',"x":1e999'), FOUR),
    ("no-header", "", b""),
    ("no-header-but-data", "", FOUR),
    ("list", "[]", b""),
    ("null", "null", b""),
    ("tensor-null", '{"a":null}', b""),
    ("tensor-number", '{"a":3}', b""),
    ("brace", "{", b""),
]

# The format forbids the same name twice, though the reference lets the later one count; and sizes here have 63 bits.
STRICTER = [
    ("name-twice", "{%s,%s}" % (A, A), FOUR),
    ("name-twice-escaped", "{%s,%s}" % (A, A.replace('"a"', '"\\u0061"')), FOUR),
    ("no-elements-of-2^64", described(shape="18446744073709551615,0", offsets="0,0"), b""),
]


def files():
    for kind, entries in (("accepted", ACCEPTED), ("refused", REFUSED), ("stricter", STRICTER)):
        for name, header, data in entries:
            text = header.encode("utf-8", "surrogateescape")
            yield kind, name, struct.pack("<Q", len(text)) + text + data
    yield "refused", "empty", b""
    yield "refused", "two-bytes", b"\2\0"
    yield "refused", "header-longer-than-the-file", struct.pack("<Q", 4000) + b"{}"
    yield "refused", "header-over-the-limit", struct.pack("<Q", LIMIT + 1) + b"{}"


def main():
    problems = []
    names = [name for _, name, _ in files()]
    assert len(set(names)) == len(names)
    for kind, name, contents in files():
        path = os.path.join(sys.argv[1], name)
        with open(path, "wb") as file:
            file.write(contents)
        if safetensors:
            try:
                safetensors.safe_open(path, framework="np").__enter__()
                said = kind != "refused"
            except Exception:  # an exception class of its own, and OSError
                said = kind == "refused"
            if not said:
                problems.append(f"{name}: written down as {kind}, which the reference does not say")
        result = subprocess.run(["peer-run", "inspect", path], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        error = result.stderr.decode()
        if kind == "accepted" and (result.returncode != 0 or error or b"safetensors" not in result.stdout):
            problems.append(f"{name}: not accepted: {error}")
        sentence = error.startswith("peer-run: error: " + path) and error.count("\n") == 1
        if kind != "accepted" and (result.returncode != 1 or result.stdout or not sentence):
            problems.append(f"{name}: exit code {result.returncode}, {error!r}, expected one sentence")
    print(f"{len(names)} files, compared with {'the reference' if safetensors else 'its answers'}")
    for problem in problems:
        print("PROBLEM:", problem)
    sys.exit(1 if problems else 0)


main()
