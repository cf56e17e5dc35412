"""Copies the source tree without what was built. Usage: copy_tree.py SOURCE TARGET."""
import shutil
import sys

shutil.copytree(sys.argv[1], sys.argv[2], symlinks=True, ignore=shutil.ignore_patterns("build*", ".git", "__pycache__", "demo", "gpu-check*.tar*"))
