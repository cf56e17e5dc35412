"""Entries of every kind of name in one model, compiled for both targets, in files and folders of any name.

usage: check_names.py FOLDER TEMPLATE
TEMPLATE holds one function, @NAME, that maps x to gelu(x . w), w a constant 2 under a name that needs escapes.
"""
import math
import os
import subprocess
import sys

import tensors

NAMES = ["f", "peer_entry_f", "entry_f", "_mlir_ciface_f", "_mlir_ciface_entry_f", "kernel_linear", "kernel_linear_0",
         "malloc", "free", "memcpy", "main", "_init", "erff", "expf", "memrefCopy", "__kmpc_fork_call",
         "omp_get_thread_num", "peer_rt_sgemm", "peer_rt_alloc", "peer_rt_kernel_begin", "mgpuLaunchKernel", "peer_cubin",
         "peer_cubin_size", "llvm.memcpy.p0.p0.i64", "llvm.gelu", "a.b", "a-b", "größe", "专家", "a\\22b", "a\\\\b", "0",
         "x" * 1024]
PARAMETER = 'größe."q"\\'


def run(*command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if done.returncode:
        sys.exit(f"{command} ended with {done.returncode}:\n{done.stderr.decode(errors='replace')}")


def main():
    folder, template = sys.argv[1:]
    with open(template, encoding="utf-8") as file:
        text = file.read()
    # A folder and a description whose names are not UTF-8.
    odd = os.path.join(os.fsencode(folder), b"odd \xff\n folder")
    os.makedirs(odd, exist_ok=True)
    model, artifact, weights, given, out = (os.path.join(odd, name) for name in
                                            (b"m\xfe.mlir", b"m\xfe.peer", b"w\xfd", b"in\xfc", b"out\xfb"))
    with open(model, "w", encoding="utf-8") as file:
        file.write("".join(text.replace("@NAME", f'@"{name}"') for name in NAMES))
    xs = [-1.5, -0.25, 0.0, 0.5, 1.0, 2.0, 3.0, -4.0]
    tensors.save(given, {"x": tensors.floats((2, 4), xs)})
    sums = [2 * sum(xs[:4])] * 4 + [2 * sum(xs[4:])] * 4
    expected = [s * (1 + math.erf(s / math.sqrt(2))) / 2 for s in sums]
    for target, device in (("cpu", []), ("sm_90", ["--device=sim"])):
        run("peer-opt", model, f"--target={target}", "--ptxas=none", "-o", artifact)
        run("peer-run", "inspect", artifact)
        run("peer-run", "init", artifact, "--out", weights)
        if PARAMETER not in tensors.header(weights)[0]:
            sys.exit(f"the weights hold {list(tensors.header(weights)[0])}, expected {PARAMETER}")
        for name in NAMES:
            entry = name.replace("\\22", '"').replace("\\\\", "\\")
            run("peer-run", "call", artifact, entry, "--weights", weights, "--in", given, "--out", out, *device)
            if tensors.header(out)[0]["__metadata__"]["entry"] != entry:
                sys.exit(f"{tensors.header(out)[0]['__metadata__']} names another entry than {entry}")
            got = tensors.load(out)["y"][2]
            if any(abs(a - b) > 1e-5 for a, b in zip(got, expected)):
                sys.exit(f"{entry} for {target} gave {list(got)}, expected {expected}")


main()
