"""Compiles random descriptions of layers for a GPU: peer-opt makes PTX of each, and ptxas, where it is, accepts it.

usage: random_models.py FOLDER COUNT SEED

Widths, heads, keys, policies, gates, activations, element types, numbers of tokens and what is derived (a gradient, a training
step, nothing) are drawn; widths of one, odd ones and powers of two are as likely. A layer that does not compile is printed.
"""
import concurrent.futures
import os
import pathlib
import random
import shutil
import subprocess
import sys


def layer(draw):
    """The text of one description."""
    width = draw.choice([1, 5, 8, 17, 33, 64, 100, 128, 200, 256, 512, 1000, 1024])
    heads, n = draw.choice([1, 2, 3, 8]), draw.choice([1, 4, 17, 64, 100, 128])
    k = draw.randint(1, min(n, draw.choice([1, 4, 16, 37])))
    dim = draw.choice([1, 4, 5, 16, 32, 64, 100, 128])
    policy = draw.choice(["topk", "product_topk"])
    halves = 2 if policy == "product_topk" else 1
    vectors, rows = draw.choice([1, 2, 2, 3]), draw.choice([1, 1, 1, 4])
    experts = (n * n if halves == 2 else n) * rows
    keys = draw.choice([heads, 1])
    key_type, pool_type = draw.choice(["f32", "bf16"]), draw.choice(["f32", "bf16"])
    tokens = draw.choice(["?", "?", "?", "1", "7", "64"])
    gate, activation = draw.choice(["softmax", "sigmoid", "relu", "one"]), draw.choice(["gelu", "relu", "silu"])
    selected = draw.choice([f"{policy}<{k}>"] if halves == 2 else [f"topk<{k}>", f"topk<{k}>", "all"])
    chosen = n if selected == "all" else k
    act, query = f"tensor<{tokens}x{width}xf32>", heads * halves * dim
    scores, pairs = f"tensor<{tokens}x{heads}x{halves}x{n}xf32>", f"tensor<{tokens}x{heads}x{chosen}x"
    split = f"tensor<{tokens}x{heads}x{halves}x{dim}xf32>"
    keys_type, pool = f"tensor<{keys}x{halves}x{n}x{dim}x{key_type}>", f"tensor<{experts}x{vectors}x{width}x{pool_type}>"
    text = f"""
func.func @layer(%x: {act} {{peer.name = "x"}}) -> ({act} {{peer.name = "y"}}) {{
  %wq = peer.param "query" normal(0.02) : tensor<{width}x{query}xf32>
  %q0 = peer.linear %x, %wq : {act}, tensor<{width}x{query}xf32>
  %q  = peer.reshape %q0 to {split} : tensor<{tokens}x{query}xf32>
  %c  = peer.param "keys" normal(0.02) : {keys_type}
  %s  = peer.score %q, %c : {split}, {keys_type}
  %i, %v = peer.select %s {selected} : {scores}
  %w  = peer.gate %v {gate} : {pairs}f32>
  %p  = peer.param "experts" normal(0.02) group("experts") : {pool}
  %y  = peer.mix %x, %i, %w, %p {activation} {{rows_per_expert = {rows}}} : {act}, {pairs}i32>, {pairs}f32>, {pool}
  return %y : {act}
}}
"""
    derived = draw.choice(["", "gradient", "train"])
    if derived == "gradient" and "bf16" not in (key_type, pool_type):
        text += "peer.gradient @layer_grad of @layer\n"
    if derived == "train" and tokens == "?" and width > 1:
        text += f"""
func.func @loss(%x: {act} {{peer.name = "x"}}, %t: tensor<?xi32> {{peer.name = "targets"}}) -> (tensor<f32> {{peer.name = "loss"}}) {{
  %y = peer.call "" @layer(%x) : ({act}) -> {act}
  %l = peer.cross_entropy %y, %t : {act}, tensor<?xi32>
  %m = peer.mean %l : tensor<?xf32>
  return %m : tensor<f32>
}}
peer.train @train_step of @loss {{optimizer = #peer.adamw<learning_rate = 1.0e-3>,
                                 groups = {{experts = #peer.adamw<learning_rate = 1.0e-3, lazy = true>}}}}
"""
    return text


def compile_one(folder, number, text, arch, ptxas):
    """What goes wrong with one description, or nothing."""
    model, ptx = folder / f"{number}.mlir", folder / f"{number}.ptx"
    model.write_text(text, encoding="utf-8")
    commands = [["peer-opt", model, f"--target={arch}", "--emit=asm", "-o", ptx]]
    if ptxas:
        commands.append([ptxas, f"-arch={arch}", ptx, "-o", os.devnull])
    for command in commands:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            return f"{model.name}, {arch}: {command[0]} exited with {done.returncode}:\n{done.stderr}{done.stdout}{text}"
    return None


def main():
    folder, count, draw = pathlib.Path(sys.argv[1]), int(sys.argv[2]), random.Random(int(sys.argv[3]))
    folder.mkdir(parents=True, exist_ok=True)
    ptxas = shutil.which("ptxas", path=os.pathsep.join([os.environ["PATH"], "/usr/local/cuda/bin"]))
    jobs = [(number, layer(draw), draw.choice(["sm_80", "sm_90"])) for number in range(count)]
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        wrong = [found for found in pool.map(lambda job: compile_one(folder, *job, ptxas), jobs) if found]
    print("\n".join(wrong))
    print(f"{count} descriptions, {len(wrong)} failed")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
