"""One token of a PEER layer, or of its mix, in plain Python and double precision: slow, obvious, needs nothing installed."""
import math


def _gelu(a):
    return 0.5 * a * (1 + math.erf(a / math.sqrt(2)))


def _best(scores, k):
    """The k largest, lowest index first among equals."""
    return sorted(range(len(scores)), key=lambda i: (-scores[i], i))[:k]


def _dot(a, b):
    return math.fsum(map(float.__mul__, map(float, a), map(float, b)))


def mix(x, rows, weights):
    """y of one token: `rows` has u and v, one after the other, of each expert that it takes, `weights` their weights."""
    width, y = len(x), [0.0] * len(x)
    for row, weight in zip(rows, weights):
        factor = weight * _gelu(_dot(row[:width], x))
        y = [a + factor * b for a, b in zip(y, row[width:])]
    return y


def mix_gradient(x, rows, weights, dy):
    """dx of one token."""
    width, dx = len(x), [0.0] * len(x)
    for row, weight in zip(rows, weights):
        a = _dot(row[:width], x)
        slope = 0.5 * (1 + math.erf(a / math.sqrt(2))) + a * math.exp(-a * a / 2) / math.sqrt(2 * math.pi)
        factor = weight * slope * _dot(row[width:], dy)
        dx = [a + factor * b for a, b in zip(dx, row[:width])]
    return dx


def layer(x, query, keys, experts, k):
    """y of one token. Each parameter is a pair (flat floats, shape)."""
    (weight, (width, columns)), (key, (heads, _, n, half)), (pool, _) = query, keys, experts
    q = [0.0] * columns
    for i in range(width):
        row = weight[i * columns:(i + 1) * columns]
        q = [a + x[i] * b for a, b in zip(q, row)]
    y = [0.0] * width
    for head in range(heads):
        scores = []
        for side in range(2):
            part = q[(head * 2 + side) * half:(head * 2 + side + 1) * half]
            start = (head * 2 + side) * n * half
            scores.append([math.fsum(a * b for a, b in zip(part, key[start + j * half:start + (j + 1) * half]))
                           for j in range(n)])
        first, second = (_best(side, k) for side in scores)
        pairs = [(i * n + j, scores[0][i] + scores[1][j]) for i in first for j in second]
        chosen = sorted(pairs, key=lambda pair: (-pair[1], pair[0]))[:k]
        exps = [math.exp(score - chosen[0][1]) for _, score in chosen]
        for (expert, _), gate in zip(chosen, exps):
            start = expert * 2 * width
            u, v = pool[start:start + width], pool[start + width:start + 2 * width]
            factor = gate / sum(exps) * _gelu(math.fsum(a * b for a, b in zip(u, x)))
            y = [a + factor * b for a, b in zip(y, v)]
    return y
