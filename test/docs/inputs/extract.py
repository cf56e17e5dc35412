"""Writes blocks of a page to the files that their first lines name. Usage: extract.py PAGE.md NAME ..."""
import pathlib
import re
import sys


def main():
    page = pathlib.Path(sys.argv[1]).read_text(encoding="utf-8")
    for name in sys.argv[2:]:
        block = re.search(rf"^```\w+\n(// {re.escape(name)}\b.*?)^```$", page, re.M | re.S)
        if not block:
            sys.exit(f"{sys.argv[1]} has no block that begins with // {name}")
        pathlib.Path(name).write_text(block.group(1), encoding="utf-8")


main()
