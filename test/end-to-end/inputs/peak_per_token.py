"""How much the memory that compiled code holds at most grows by each token, against a bound.

Usage: peak_per_token.py MODEL ENTRY FEW MANY BOUND
"""
import re
import subprocess
import sys

UNITS = {"bytes": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9}


def peak(model, entry, tokens):
    text = subprocess.run(["peer-run", "bench", model, entry, "--dim", f"T={tokens}", "--repeat", "1"], check=True,
                          stdout=subprocess.PIPE, text=True).stdout
    number, unit = re.search(r"most memory held by compiled code: ([0-9.]+) (\w+)", text).groups()
    return float(number) * UNITS[unit]


def main():
    model, entry, few, many, bound = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:])
    low, high = peak(model, entry, few), peak(model, entry, many)
    print(f"T = {few}: {low:.0f} bytes, T = {many}: {high:.0f} bytes, {(high - low) / (many - few):.0f} per token")
    print(f"{entry}: fewer than {bound} bytes per token:", high > low and (high - low) / (many - few) < bound)


main()
