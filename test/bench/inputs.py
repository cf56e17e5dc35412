"""Random inputs as (dtype, shape, bytes), from a fixed seed and the standard library alone."""
import array
import random

N = 1024 * 1024
HEADS, K = 8, 16


def normal(seed, *shape):
    """Standard normal floats."""
    source = random.Random(seed)
    count = 1
    for size in shape:
        count *= size
    return "f32", list(shape), array.array("f", (source.gauss(0, 1) for _ in range(count))).tobytes()


def integers(seed, end, *shape):
    """Uniform integers in [0, end)."""
    source = random.Random(seed)
    count = 1
    for size in shape:
        count *= size
    return "i32", list(shape), array.array("i", (int(source.random() * end) for _ in range(count))).tobytes()


def zipf(seed, exponent, *shape):
    """Expert ids whose frequencies fall as rank ** -exponent (0 <= exponent < 1); popular ids are not neighbours."""
    source = random.Random(seed)
    count = 1
    for size in shape:
        count *= size
    ranks = (int(N * source.random() ** (1 / (1 - exponent))) for _ in range(count))
    return "i32", list(shape), array.array("i", (min(rank, N - 1) * 0x9E3779B1 % N for rank in ranks)).tobytes()


def floats(data):
    """Bytes of f32 as a sequence."""
    return array.array("f", data)
