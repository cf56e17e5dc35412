"""Prints what a profiled run's table and trace must be: rows that sum to the step, a trace whose kernels lie within their steps.

Usage: profile_sums.py TABLE TRACE
"""
import json
import re
import sys

rows = {}
for line in open(sys.argv[1]):
    found = re.match(r"  (\S.*?)  +(\S+) +([0-9.]+) +([0-9.]+) % ", line)
    if found:
        rows[found[1]] = (found[2], float(found[3]), float(found[4]))
step = rows.pop("a step")
print("rows sum to the step:", abs(sum(row[1] for row in rows.values()) - step[1]) <= 0.001 * len(rows) + 1e-9)
print("shares sum to all:", abs(sum(row[2] for row in rows.values()) - 100) <= 0.05 * len(rows) + 1e-9)
print("calls of linear:", rows["linear"][0])

events = [event for event in json.load(open(sys.argv[2]))["traceEvents"] if event["ph"] == "X"]
steps = [event for event in events if event["cat"] == "step"]
kernels = [event for event in events if event["cat"] == "kernel"]
# Microseconds with three digits.
within = [[step["name"] for step in steps
           if step["ts"] <= kernel["ts"] + 0.002 and kernel["ts"] + kernel["dur"] <= step["ts"] + step["dur"] + 0.002]
          for kernel in kernels]
print("steps of the trace:", [step["name"] for step in steps])
print("kernels lie in one step each:", all(len(found) == 1 for found in within))
print("names are those of the table:", {kernel["name"] for kernel in kernels} == set(rows) - {"outside kernels"})
