"""Decoding with the key-value cache against reading the whole context again.

Usage: check_decoding.py LIBRARY MODEL WEIGHTS CONTEXT. The text starts with a prompt of a bit over a quarter of the context.
"""
import subprocess
import sys

from peer_api import Model

TOLERANCE = 1e-4
LIBRARY, PATH, WEIGHTS, CONTEXT = *sys.argv[1:4], int(sys.argv[4])
PROMPT = ("The licence gives everyone permission to " * 4)[:CONTEXT * 3 // 10]


def best(row):
    return max(range(len(row)), key=lambda i: (row[i], -i))


def main():
    model = Model(LIBRARY, PATH, WEIGHTS)

    def whole(tokens):
        # What follows a token cannot change its logits, so zeros may fill the context.
        return model.logits("logits", tokens + [0] * (CONTEXT - len(tokens)))[:len(tokens)]

    tokens, prompt, largest = list(PROMPT.encode()), len(PROMPT), 0.0
    cached = model.logits("prefill", tokens, 0)
    recomputed = whole(tokens)
    while True:
        for a, b in zip(cached, recomputed[-len(cached):]):
            largest = max(largest, max(abs(x - y) for x, y in zip(a, b)))
        if len(tokens) == CONTEXT:
            break
        tokens.append(best(recomputed[-1]))
        cached = model.logits("decode", tokens[-1:], len(tokens) - 1)
        recomputed = whole(tokens)
    print("prompt", prompt, "and", CONTEXT - prompt, "decoded tokens:", "logits agree" if largest <= TOLERANCE else f"DIFFER by {largest}")
    width = max(recomputed[-1]) - min(recomputed[-1])
    print("logits spread over more than the tolerance:", width > 1000 * TOLERANCE)

    # As the user calls it, the text is the one that argmax gives on the growing context.
    text = subprocess.run(["peer-run", "generate", PATH, "--weights", WEIGHTS, "--prompt", PROMPT, "--temperature", "0",
                           "--tokens", str(CONTEXT - prompt)], check=True, stdout=subprocess.PIPE).stdout
    print("greedy text", "equal" if list(text) == tokens[prompt:] + [10] else f"DIFFERS: {text} and {bytes(tokens[prompt:])}")

    # A prompt read in two parts: the second one attends to the cached first.
    split = prompt // 2
    model.logits("prefill", tokens[:split], 0)
    rows = model.logits("prefill", tokens[split:], split)
    error = max(abs(x - y) for a, b in zip(rows, recomputed[split:]) for x, y in zip(a, b))
    print("in two parts:", "logits agree" if error <= TOLERANCE else f"DIFFER by {error}")


main()
