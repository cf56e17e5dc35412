"""C++ files look as .clang-format says, where the tool is installed."""
import shutil
import subprocess

TOOLS = ("clang-format-22", "/usr/lib/llvm-22/bin/clang-format")


def _run(tree, options):
    tool = next((found for found in map(shutil.which, TOOLS) if found), None)
    files = tree.having(".cpp", ".h", ".c")
    if not tool or not files or not (tree.root / ".clang-format").is_file():
        return None
    return subprocess.run([tool, *options, *files], cwd=tree.root, capture_output=True, text=True, check=False)


def check(tree):
    """One violation per file, at its first line that differs."""
    done = _run(tree, ["--dry-run", "-Werror"])
    first = {}
    for line in done.stderr.splitlines() if done else []:
        name, _, rest = line.partition(":")
        if "clang-format-violations" in rest and name in tree.files:
            first.setdefault(name, int(rest.split(":")[0]))
    return [(name, line, "clang-format would change this file; test/lint.py --fix does it") for name, line in first.items()]


def fix(tree):
    """Reformats in place; returns how many files changed."""
    count = len(check(tree))
    _run(tree, ["-i"])
    tree.text.cache_clear()
    return count


RULES = []
