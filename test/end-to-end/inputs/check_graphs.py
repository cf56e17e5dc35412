"""What the driver made for tests counted in two runs, the second of which took N more steps: only graph launches may be more."""
import re
import sys

FIRST, SECOND, MORE = sys.argv[1], sys.argv[2], int(sys.argv[3])


def counts(path):
    with open(path, encoding="utf-8") as log:
        line = next(line for line in log if line.startswith("fake cuda:"))
    return {name: int(number) for number, name in re.findall(r"(\d+) ([a-z ]*[a-z])", line)}


first, second = counts(FIRST), counts(SECOND)
differences = {name: second[name] - first[name] for name in first if second[name] != first[name]}
graphs = differences.pop("graph launches of", 0)
# Inputs and results are copied in every step, by the graphs.
moved = [differences.pop(name, 0) // MORE for name in ("bytes in", "bytes out")]
differences.pop("kernels", None)
print(f"{graphs} more graph launches with {moved[0]} bytes in, {moved[1]} bytes out each and",
      "nothing else" if not differences and graphs == MORE else differences)
