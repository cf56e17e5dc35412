"""Runs a command that must be refused: exit code 1, and nothing written to any of the folders.

A runtime error is one sentence on stderr, exactly one line. With --diagnostic the compiler points into a description:
file, line and column, the line, a caret; other lines may follow as notes.
Usage: refused.py [--diagnostic] FOLDER -- COMMAND ...
Prints what the command said, for FileCheck.
"""
import hashlib
import os
import re
import subprocess
import sys


def contents(folder):
    """Every path in a folder with its kind and, of a file, a digest: writing shows even where sizes stay."""
    found = {}
    for parent, folders, files in os.walk(folder):
        for name in folders:
            found[os.path.join(parent, name)] = "folder"
        for name in files:
            path = os.path.join(parent, name)
            if not os.path.isfile(path):
                found[path] = "special"
                continue
            with open(path, "rb") as file:
                found[path] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def main():
    split = sys.argv.index("--")
    diagnostic = "--diagnostic" in sys.argv[1:split]
    folder, command = sys.argv[split - 1], sys.argv[split + 1:]
    before = contents(folder)
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    error = result.stderr.decode()
    print(error, end="")
    problems = []
    if result.returncode != 1:
        problems.append(f"exit code {result.returncode}, expected 1")
    lines = error.splitlines()
    if diagnostic:
        if not lines or not re.match(r"\S+:\d+:\d+: error: ", lines[0]):
            problems.append("the first line is no error with file, line and column")
        elif len(lines) < 3 or "^" not in lines[2]:
            problems.append("no caret below the line")
    elif len(lines) != 1 or not error.endswith("\n"):
        problems.append(f"{len(lines)} lines on stderr, expected one sentence")
    after = contents(folder)
    problems += [f"{path} was {'changed' if path in before and path in after else 'written' if path in after else 'removed'}"
                 for path in sorted(before.keys() | after.keys()) if before.get(path) != after.get(path)]
    for problem in problems:
        print("PROBLEM:", problem)
    sys.exit(1 if problems else 0)


main()
