"""Rules about any text: nothing unfinished, no place of a build machine, tidy lines."""
import re

WORDS = re.compile(r"\b(TODO|FIXME|XXX)\b|\b(not implemented|not yet implemented|for now|placeholder)\b", re.I)
MACHINE_PATHS = re.compile(r"(?:(?<![\w.})%~*-])|(?<=-[IL]))/(work|home|root|Users|mnt|scratch|workspace|builds?)/[\w.-]+")
# Lint's own words and its bad examples.
EXEMPT = "test/lint"


def unfinished(tree):
    """What is in the tree is finished; what is not goes to the issues."""
    for name in tree.files:
        for number, line in tree.lines(name):
            match = WORDS.search(line)
            if match and not name.startswith(EXEMPT):
                yield name, number, f"unfinished: '{match.group(0)}'"


def machine_paths(tree):
    """Paths that exist on one machine only."""
    for name in tree.files:
        for number, line in tree.lines(name):
            match = MACHINE_PATHS.search(line)
            if match and not name.startswith(EXEMPT):
                yield name, number, f"absolute path of a build machine: {match.group(0)}"


def whitespace(tree):
    """Lines end where their text does, files with a newline."""
    for name in tree.files:
        content = tree.text(name)
        for number, line in tree.lines(name):
            if line != line.rstrip():
                yield name, number, "trailing whitespace"
        if content and not content.endswith("\n"):
            yield name, content.count("\n") + 1, "no newline at the end of the file"
        elif content.endswith("\n\n"):
            yield name, content.count("\n"), "blank line at the end of the file"


RULES = [unfinished, machine_paths, whitespace]
