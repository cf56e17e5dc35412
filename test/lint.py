#!/usr/bin/env python3
"""Checks the structural rules of the tree; prints one line `file:line: rule` per violation.

`./dev lint` runs it. `--fix` reformats the C++ files; everything else is for a person to mend.
"""
import argparse
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "lint"))

import coverage  # noqa: E402
import formatting  # noqa: E402
import layout  # noqa: E402
import opnames  # noqa: E402
import references  # noqa: E402
import targets  # noqa: E402
import testfiles  # noqa: E402
import text  # noqa: E402
from tree import Tree  # noqa: E402

RULES = layout.RULES + targets.RULES + opnames.RULES + text.RULES + testfiles.RULES + coverage.RULES + references.RULES


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=pathlib.Path, default=HERE.parent, help="the tree to check (default: this one)")
    parser.add_argument("--fix", action="store_true", help="reformat C++ files with clang-format, then check")
    parser.add_argument("--no-format", action="store_true", help="leave clang-format out")
    arguments = parser.parse_args()

    tree = Tree(arguments.root.resolve())
    if arguments.fix:
        print(f"{formatting.fix(tree)} files reformatted")
    violations = [violation for rule in RULES for violation in rule(tree)]
    if not arguments.no_format:
        violations += formatting.check(tree)
    for path, line, rule in sorted(violations):
        print(f"{path}:{line}: {rule}")
    sys.stdout.flush()
    print(f"{len(tree.files)} files, {len(violations)} violations", file=sys.stderr)
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
