"""The files that lint looks at."""
import functools
import os
import pathlib
import subprocess


class Tree:
    """Text files under a root by relative path: those that git knows or would add, or all of a plain folder."""

    def __init__(self, root):
        self.root = pathlib.Path(root)
        if (self.root / ".git").exists():
            listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=self.root, check=True,
                                    capture_output=True, text=True).stdout.splitlines()
        else:
            listed = [os.path.relpath(os.path.join(folder, name), self.root)
                      for folder, _, names in os.walk(self.root) for name in names]
        self.files = sorted({name for name in listed if (self.root / name).is_file() and self.text(name) is not None})

    @functools.lru_cache(maxsize=None)
    def text(self, name):
        """The file's text, or None if it is not UTF-8."""
        try:
            return (self.root / name).read_text(encoding="utf-8")
        except UnicodeDecodeError:
            return None

    def lines(self, name):
        """Pairs (line number, line without its newline)."""
        return enumerate(self.text(name).splitlines(), start=1)

    def having(self, *suffixes, under=""):
        """Files with one of the suffixes, below a folder."""
        return [name for name in self.files if name.endswith(suffixes) and name.startswith(under)]


def top(name):
    """The first folder of a path, or "" for a file of the root."""
    return name.split("/")[0] if "/" in name else ""
