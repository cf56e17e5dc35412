"""Counts the routes of modules at the tiled level.

usage: count_routes.py FILE ..., which `peer-opt --emit=tiled` wrote.

For each file how many `peer.route` there are, how many of them are alone in a loop, and how many ops that a route is made of.
"""
import pathlib
import re
import sys

MARK = re.compile(r'\n  +peer\.mark ')
# Not the tile sizes on a mark.
OPS = re.compile(r"\bpeer\.(?!tiles\b)(\w+)")


def main():
    for path in map(pathlib.Path, sys.argv[1:]):
        routes = alone = apart = 0
        # What lies between two marks is a kernel.
        for kernel in MARK.split(path.read_text(encoding="utf-8")):
            ops = OPS.findall(kernel)
            routes += ops.count("route")
            apart += sum(ops.count(op) for op in ("score", "select", "gate"))
            alone += ops == ["route"] and kernel.count("scf.forall (") == 1
        print(f"{path.stem}: {routes} routes, {alone} alone in a loop, {apart} ops of one apart")


if __name__ == "__main__":
    main()
