"""A rule about comments: the files that they name are there."""
import posixpath
import re

NAME = re.compile(r"(?<![\w/.*<>%$~-])((?:[\w-]+/)*[\w-]+\.(?:cpp|h|td|md|py))(?![\w*]|\.\w)")
COMMENTS = {".cpp": "//", ".h": "//", ".td": "//", ".c": "//", ".py": "#", ".mlir": "//", ".test": "#", ".txt": "#"}
# What FileCheck and lit read is no comment.
DIRECTIVE = re.compile(r"\s*(//|#)\s*[A-Z][A-Z0-9_-]*:")
# Headers of others.
FOREIGN = {"cublasLt.h", "cuda.h"}


def _comment(name, line):
    """The part of a line that speaks of files: a comment, or all of a document."""
    if name.endswith(".md"):
        return line
    sign = COMMENTS.get(posixpath.splitext(name)[1])
    if DIRECTIVE.match(line) or "#include" in line:
        return ""
    start = line.find(sign) if sign else -1
    # What stands in front of a URL's slashes is no comment.
    return line[start:] if start >= 0 and not line[:start].endswith(":") else ""


def named_files(tree):
    """A comment or a document names a file by a path, from here or from the root, or by a name that some file has."""
    names = {posixpath.basename(name) for name in tree.files}
    for name in tree.files:
        if name.startswith("test/lint/"):
            continue
        folder = posixpath.dirname(name)
        for number, line in tree.lines(name):
            for match in NAME.finditer(_comment(name, line)):
                path = match.group(1)
                here = any(posixpath.normpath(posixpath.join(start, path)) in tree.files for start in (folder, "", posixpath.dirname(folder), "runtime"))
                if not here and not ("/" not in path and path in names) and path not in FOREIGN:
                    yield name, number, f"names a file that does not exist: {path}"


RULES = [named_files]
