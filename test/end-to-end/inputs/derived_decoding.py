"""Derived decoding of many small functions against the function itself: prompts of every length, then token by token.

Usage: derived_decoding.py LIBRARY. Works in the current directory; what cannot be decoded must be refused, by both targets alike.
"""
import subprocess
import sys

from peer_api import Model

TOLERANCE = 2e-5
CONTEXT, WIDTH, TOKENS = 4, 4, [3, 1, 7, 2, 5, 5, 0, 6]

# Bodies: %x is the tokens' embedding, `!a` its type; what they return is %y. `P(name)` is a parameter of that name and type.
RIGHT = {
    "attention": "%y = peer.attention %x, %x, %x heads 2 context 4 : !a, !a, !a",
    "rotary_before_attention": """
  %q = peer.rotary %x heads 1 context 4 : !a
  %y = peer.attention %q, %q, %x heads 1 context 4 : !a, !a, !a""",
    "rotary_twice": """
  %q = peer.rotary %x heads 1 context 4 {base = 50.0 : f32} : !a
  %r = peer.rotary %q heads 2 context 4 : !a
  %y = peer.attention %r, %q, %x heads 1 context 4 : !a, !a, !a""",
    "rotary_alone": "%y = peer.rotary %x heads 1 context 4 : !a",
    "two_attentions": """
  %a = peer.attention %x, %x, %x heads 1 context 4 : !a, !a, !a
  %b = arith.addf %a, %x : !a
  %y = peer.attention %b, %a, %b heads 2 context 4 : !a, !a, !a""",
    "heads_normed_apart": """
  %g = peer.param "gain" normal(1.0) : tensor<2xf32>
  %r = peer.reshape %x to tensor<?x2xf32> : !a
  %n = peer.rms_norm %r, %g : tensor<?x2xf32>, tensor<2xf32>
  %q = peer.reshape %n to !a : tensor<?x2xf32>
  %y = peer.attention %q, %x, %x heads 2 context 4 : !a, !a, !a""",
    "grouped_queries": """
  %w = peer.param "narrow" normal(1.0) : tensor<4x2xf32>
  %k = peer.linear %x, %w : !a, tensor<4x2xf32>
  %y = peer.attention %x, %k, %k heads 2 context 4 : !a, tensor<?x2xf32>, tensor<?x2xf32>""",
    "window": """
  %q = peer.rotary %x heads 2 context 4 : !a
  %a = peer.attention %q, %q, %x heads 2 context 4 window 2 : !a, !a, !a
  %y = peer.attention %a, %q, %x heads 2 context 4 window 3 : !a, !a, !a""",
    "grouped_window_of_normed_heads": """
  %w = peer.param "narrow" normal(1.0) : tensor<4x2xf32>
  %g = peer.param "gain" normal(1.0) : tensor<2xf32>
  %k0 = peer.linear %x, %w : !a, tensor<4x2xf32>
  %k1 = peer.rms_norm %k0, %g : tensor<?x2xf32>, tensor<2xf32>
  %k = peer.rotary %k1 heads 1 context 4 : tensor<?x2xf32>
  %q0 = peer.reshape %x to tensor<?x2xf32> : !a
  %q1 = peer.rms_norm %q0, %g : tensor<?x2xf32>, tensor<2xf32>
  %q2 = peer.reshape %q1 to !a : tensor<?x2xf32>
  %q = peer.rotary %q2 heads 2 context 4 : !a
  %y = peer.attention %q, %k, %k0 heads 2 context 4 window 3 : !a, tensor<?x2xf32>, tensor<?x2xf32>""",
    "tied_head": """
  %y0 = peer.attention %x, %x, %x heads 1 context 4 : !a, !a, !a
  %l = peer.linear %y0, %e {transpose_weight} : !a, tensor<8x4xf32>
  %y = peer.slice %l along 1 from 2 size 4 : tensor<?x8xf32>""",
    "parts_of_parameters": """
  %w = peer.param "wide" normal(1.0) : tensor<4x6xf32>
  %p = peer.param "pool" normal(1.0) : tensor<6x2x4xf32>
  %u = peer.slice %w along 1 from 1 size 4 : tensor<4x6xf32>
  %h = peer.linear %x, %u : !a, tensor<4x4xf32>
  %s = peer.reshape %h to tensor<?x1x1x4xf32> : !a
  %i, %v = peer.select %s topk<2> : tensor<?x1x1x4xf32>
  %g = peer.gate %v softmax : tensor<?x1x2xf32>
  %part = peer.slice %p along 0 from 2 size 4 : tensor<6x2x4xf32>
  %y = peer.mix %x, %i, %g, %part gelu : !a, tensor<?x1x2xi32>, tensor<?x1x2xf32>, tensor<4x2x4xf32>""",
    "dropout": """
  %d = peer.dropout %x {rate = 0.5 : f32} : !a
  %y = peer.attention %d, %x, %d heads 2 context 4 : !a, !a, !a""",
    "rows_of_tokens_in_columns": """
  %w = peer.param "w" normal(1.0) : tensor<3x4xf32>
  %v = peer.param "v" normal(1.0) : tensor<4x4xf32>
  %u = peer.linear %w, %v : tensor<3x4xf32>, tensor<4x4xf32>
  %s = peer.linear %u, %x {transpose_weight} : tensor<3x4xf32>, !a
  %y = peer.linear %s, %w {transpose_x} : tensor<3x?xf32>, tensor<3x4xf32>""",
    "narrow_and_wide": """
  %b = arith.truncf %x : !a to tensor<?x4xbf16>
  %w = arith.extf %b : tensor<?x4xbf16> to !a
  %y = arith.mulf %w, %x : !a""",
    "routed": """
  %k = peer.param "keys" normal(1.0) : tensor<2x1x6x2xf32>
  %p = peer.param "pool" normal(1.0) : tensor<6x2x4xf32>
  %q = peer.reshape %x to tensor<?x2x1x2xf32> : !a
  %s = peer.score %q, %k : tensor<?x2x1x2xf32>, tensor<2x1x6x2xf32>
  %i, %v = peer.select %s topk<2> : tensor<?x2x1x6xf32>
  %g = peer.gate %v softmax : tensor<?x2x2xf32>
  %y = peer.mix %x, %i, %g, %p gelu : !a, tensor<?x2x2xi32>, tensor<?x2x2xf32>, tensor<6x2x4xf32>""",
    "running_statistics": """
  %g = peer.param "scale" normal(1.0) : tensor<4xf32>
  %m = peer.param "mean" normal(1.0) buffer : tensor<4xf32>
  %s = peer.param "variance" ones buffer : tensor<4xf32>
  %y = peer.batch_norm %x, %g, %g, %m, %s : !a, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>""",
    "dead_op": """
  %d = peer.linear %x, %x {transpose_x} : !a, !a
  %z = peer.rotary %x heads 1 context 3 : !a
  %y = peer.activation %x silu : !a""",
    "same_for_all_tokens": """
  %t = peer.param "w4" normal(1.0) : tensor<4x4xf32>
  %y = arith.addf %t, %t : tensor<4x4xf32>""",
    "a_parameter": '%y = peer.param "w4" normal(1.0) : tensor<4x4xf32>',
}

REFUSED = {
    "other_contexts": ("has a context of 4 beside another of 2", """
  %q = peer.rotary %x heads 1 context 2 : !a
  %y = peer.attention %q, %q, %x heads 1 context 4 : !a, !a, !a"""),
    "tokens_joined": ("joins rows of several tokens", "%y = peer.reshape %x to tensor<?x8xf32> : !a"),
    "positions_of_halves": ("2 rows per token", """
  %r = peer.reshape %x to tensor<?x2xf32> : !a
  %q = peer.rotary %r heads 1 context 4 : tensor<?x2xf32>
  %y = peer.reshape %q to !a : tensor<?x2xf32>"""),
    "batch_statistics": ("may mix tokens", """
  %m:2 = peer.batch_stats %x : !a
  %y = peer.batch_norm %x, %m#0, %m#0, %m#0, %m#1 : !a, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>"""),
    "token_count": ("may mix tokens", """
  %c = arith.constant 0 : index
  %n = tensor.dim %x, %c : !a
  %z = tensor.empty(%n) : !a
  %y = arith.addf %x, %z : !a"""),
}


def function(name, body):
    result = "tensor<4x4xf32>" if body.rstrip().endswith("tensor<4x4xf32>") and "%x" not in body else "!a"
    if "tensor<?x8xf32> : !a" in body:
        result = "tensor<?x8xf32>"
    return f"""func.func @{name}(%tokens: tensor<?xi32> {{peer.name = "tokens"}}) -> ({result} {{peer.name = "logits"}}) {{
  %e = peer.param "table" normal(1.0) : tensor<8x4xf32>
  %x = peer.embedding %tokens, %e : tensor<?xi32>, tensor<8x4xf32>
  {body}
  return %y : {result}
}}
peer.decode @{name}_decode prefill @{name}_prefill of @{name}
"""


def compile_text(text, target):
    with open("m.mlir", "w") as file:
        file.write("!a = tensor<?x4xf32>\n" + text)
    return subprocess.run(["peer-opt", "m.mlir", "--internal-ops", f"--target={target}", "-o", f"{target}.peer"], stderr=subprocess.PIPE, text=True)


def largest(a, b):
    return max(abs(x - y) for p, q in zip(a, b) for x, y in zip(p, q)) if len(a) == len(b) else float("inf")


def check(model, name):
    """The largest difference between prefill and decode and the function, over all prompt lengths of both sequences."""
    whole = model.logits(name, TOKENS)
    constant = len(whole) != len(TOKENS)
    worst = 0.0
    for start in range(0, len(TOKENS), CONTEXT):
        sequence, expected = TOKENS[start:start + CONTEXT], whole if constant else whole[start:start + CONTEXT]
        for prompt in range(1, CONTEXT + 1):
            rows = model.logits(f"{name}_prefill", sequence[:prompt], 0)
            worst = max(worst, largest(rows, expected if constant else expected[:prompt]))
            for i in range(prompt, CONTEXT):
                row = model.logits(f"{name}_decode", sequence[i:i + 1], i)
                worst = max(worst, largest(row, expected if constant else expected[i:i + 1]))
    return worst


def main():
    text = "".join(function(name, body) for name, body in RIGHT.items())
    for target, device in [("cpu", "cpu"), ("sm_90", "sim")]:
        result = compile_text(text, target)
        if result.returncode != 0:
            print(target, "DOES NOT COMPILE:", result.stderr)
            return
        subprocess.run(["peer-run", "init", f"{target}.peer", "--out", "weights"], check=True, stdout=subprocess.DEVNULL)
        model = Model(sys.argv[1], f"{target}.peer", "weights", device)
        for name in RIGHT:
            worst = check(model, name)
            print(device, name, "agrees" if worst <= TOLERANCE else f"DIFFERS by {worst}")
    for name, (why, body) in REFUSED.items():
        said = []
        for target in ("cpu", "sm_90"):
            result = compile_text(function("logits", body), target)
            said.append((result.returncode, result.stderr))
        good = said[0] == said[1] and said[0][0] == 1 and why in said[0][1] and "cannot be decoded one token at a time" in said[0][1]
        print(name, "refused" if good else f"NOT REFUSED: {said}")


main()
