"""Prints what a module at the tiled level computes, without how it is tiled.

usage: tiled_ops.py FILE, which `peer-opt --emit=tiled --mlir-print-op-generic` wrote.

For each function its type, the ops in it in order, at whatever depth, and how many operations its marks count in all. Tile
sizes, loops, slices, index arithmetic and which ops share a loop are left out, and so are keys that a CPU has packed and what packs them.
"""
import re
import sys

OP = re.compile(r'^ *(?:%[\w:, %]+ = )?"([a-z]\w*\.[\w.]+)"')
COMPUTES = re.compile(r"(peer|linalg|math)\.|arith\.\w+f$")
FUNCTION = re.compile(r'function_type = (.*), sym_name = ("[\w:]+")')
PACKED = re.compile(r", tensor<\w+xi8>")
FLOPS = re.compile(r"flops = array<i64: ([\d, ]+)>")


def main():
    flops = [0, 0]  # in all, and per token
    packs = False

    def end():
        if any(flops):
            print("flops", *flops)
        flops[:] = [0, 0]

    for line in open(sys.argv[1], encoding="utf-8"):
        name = match.group(1) if (match := OP.match(line)) else ""
        if name == "func.func":
            end()
            kind, symbol = FUNCTION.search(line).groups()
            packs = symbol.startswith('"derive:')
            if not packs:
                print("func", symbol, PACKED.sub("", re.sub(r"arg_attrs.*", "", kind)))
        elif name == "peer.mark":
            fixed, per_token = FLOPS.search(line).group(1).split(", ")
            flops[0] += int(fixed)
            flops[1] += int(per_token)
        elif not packs and COMPUTES.match(name) and name != "linalg.yield":
            print("  " + name)
    end()


if __name__ == "__main__":
    main()
