"""Whether the table of examples names every description, with its number of lines. Usage: example_table.py EXAMPLES"""
import pathlib
import re
import sys

examples = pathlib.Path(sys.argv[1])
found = {str(path.relative_to(examples).with_suffix("")) for path in [*examples.glob("*.mlir"), *examples.glob("layers/*.mlir")]}
named = set()
for row in (examples / "README.md").read_text(encoding="utf-8").splitlines():
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    if len(cells) != 5 or not (names := re.findall(r"^`([\w/]+)`$", "\n".join(cells[1:3]), re.M)):
        continue
    named.update(names)
    counts = []
    for name in names:
        lines = (examples / f"{name}.mlir").read_text(encoding="utf-8").splitlines()
        counts.append(str(sum(bool(line.strip()) and not line.strip().startswith("//") for line in lines)))
    if cells[3] != ", ".join(counts):
        print(f"{' and '.join(names)}: the table says {cells[3]} lines, there are {', '.join(counts)}")
for name in sorted(found - named):
    print(f"{name} is not in the table")
print(f"{len(named)} descriptions in the table")
