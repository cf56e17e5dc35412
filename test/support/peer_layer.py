"""The PEER layer by its definition, over all N experts and in double precision: forward and gradients.

As arXiv 2407.04153 writes it, with no top-k of the halves, no tiles and no sorting: the oracle is obvious.
"""
import math


def gelu(a):
    return 0.5 * a * (1 + math.erf(a / math.sqrt(2)))


def gelu_slope(a):
    return 0.5 * (1 + math.erf(a / math.sqrt(2))) + a * math.exp(-a * a / 2) / math.sqrt(2 * math.pi)


def dot(a, b):
    return math.fsum(x * y for x, y in zip(a, b))


class Layer:
    def __init__(self, weights, top):
        (_, (self.width, columns), self.query) = weights["query.weight"]
        (_, (self.heads, _, self.n, self.half), self.keys) = weights["keys"]
        (_, _, self.experts) = weights["experts"]
        self.columns, self.top = columns, top
        assert columns == self.heads * 2 * self.half

    def key_at(self, head, part, j):
        return ((head * 2 + part) * self.n + j) * self.half

    def u(self, expert):
        at = expert * 2 * self.width
        return self.experts[at:at + self.width]

    def v(self, expert):
        at = expert * 2 * self.width + self.width
        return self.experts[at:at + self.width]

    def route(self, x, head):
        """Query of a token and head, and its best experts as (score, expert), ties to the lowest id."""
        first = head * 2 * self.half
        q = [dot(x, self.query[c::self.columns]) for c in range(first, first + 2 * self.half)]
        scores = []
        for part in range(2):
            part_q = q[part * self.half:(part + 1) * self.half]
            scores.append([dot(part_q, self.keys[self.key_at(head, part, j):][:self.half]) for j in range(self.n)])
        every = [(-(a + b), i * self.n + j) for i, a in enumerate(scores[0]) for j, b in enumerate(scores[1])]
        every.sort()
        return q, [(-score, expert) for score, expert in every[:self.top]]

    def gates(self, best):
        exponentials = [math.exp(score - best[0][0]) for score, _ in best]
        total = math.fsum(exponentials)
        return [e / total for e in exponentials]

    def forward(self, x):
        y = [0.0] * self.width
        for head in range(self.heads):
            _, best = self.route(x, head)
            for gate, (_, expert) in zip(self.gates(best), best):
                weight = gate * gelu(dot(self.u(expert), x))
                y = [a + weight * b for a, b in zip(y, self.v(expert))]
        return y

    def backward(self, x, dy, sums):
        """Adds a token's gradients to `sums`: {"query.weight", "keys", "experts"} -> {index: value}. Returns dx."""
        dx = [0.0] * self.width

        def add(name, at, vector, scale):
            table = sums[name]
            for i, value in enumerate(vector):
                table[at + i] = table.get(at + i, 0.0) + scale * value

        for head in range(self.heads):
            q, best = self.route(x, head)
            gates = self.gates(best)
            dgates = []
            for gate, (_, expert) in zip(gates, best):
                a, c = dot(self.u(expert), x), dot(dy, self.v(expert))
                da = gate * gelu_slope(a) * c
                dgates.append(gelu(a) * c)
                at = expert * 2 * self.width
                add("experts", at, x, da)
                add("experts", at + self.width, dy, gate * gelu(a))
                dx = [p + da * r for p, r in zip(dx, self.u(expert))]
            mean = dot(gates, dgates)
            dq = [0.0] * (2 * self.half)
            for gate, dgate, (_, expert) in zip(gates, dgates, best):
                ds = gate * (dgate - mean)
                for part, j in enumerate(divmod(expert, self.n)):
                    at, columns = self.key_at(head, part, j), slice(part * self.half, (part + 1) * self.half)
                    add("keys", at, q[columns], ds)
                    dq[columns] = [p + ds * r for p, r in zip(dq[columns], self.keys[at:at + self.half])]
            for i in range(self.width):
                at = i * self.columns + head * 2 * self.half
                add("query.weight", at, dq, x[i])
                dx[i] += dot(self.query[at:at + 2 * self.half], dq)
        return dx
