"""Rules about lit tests: directives that FileCheck sees, RUN lines that name a pipeline rather than spell it."""
import re

MAX_PASSES = 6
SUFFIXES = ("-NEXT", "-SAME", "-NOT", "-DAG", "-LABEL", "-EMPTY")
# Flags of the driver that are no passes.
DRIVER_FLAGS = re.compile(
    r"(split-input-file|verify|allow-unregistered|mlir-|load-|target|emit|plain-loops|internal-ops|o$|debug|dump|show|stats|timing|help|"
    r"list|color|no-implicit|check-prefix|diff|input-file|implicit-check|match-full|enable-var|pass-pipeline|passes)")


def _test_files(tree):
    """The lit tests but lint's own, which are full of bad examples."""
    return [name for name in tree.having(".mlir", ".test", under="test/") if not name.startswith("test/lint/")]


def _run_lines(tree, name):
    """Pairs (first line, whole command) with continuations joined."""
    start, command = 0, ""
    for number, line in tree.lines(name):
        match = re.search(r"RUN:\s*(.*)", line)
        if not match:
            continue
        start = start if command else number
        command += match.group(1)
        if command.endswith("\\"):
            command = command[:-1]
            continue
        yield start, command
        command = ""


def _prefixes(tree, name):
    """The check prefixes that the file's RUN lines use."""
    found = {"CHECK"}
    for _, command in _run_lines(tree, name):
        for match in re.finditer(r"--?check-prefix(?:es)?[= ]([\w,-]+)", command):
            found.update(match.group(1).split(","))
    return found


def directives(tree):
    """FileCheck skips a directive without its colon, and the test passes."""
    for name in _test_files(tree):
        prefixes = _prefixes(tree, name)
        longest_first = "|".join(sorted(map(re.escape, prefixes), key=len, reverse=True))
        directive = re.compile(rf"\s*(?://|#|;)\s*((?:{longest_first})((?:-[A-Z]\w*)*)(-COUNT-\d+)?)((?:{{LITERAL}})?)(\s*:)?(\s|$)")
        for number, line in tree.lines(name):
            match = directive.match(line)
            if not match:
                continue
            whole, suffix, _, _, colon, _ = match.groups()
            if colon is None or colon != ":":
                yield name, number, f"FileCheck directive without its colon: {whole}"
            elif suffix and suffix not in SUFFIXES and whole not in prefixes and not re.search(r"-COUNT-\d+$", whole):
                yield name, number, f"no directive of FileCheck: {whole}"


def _count_passes(command):
    """Passes that one command of a RUN line names."""
    spelled = [match.group(2) for match in re.finditer(r"--?pass-pipeline=(['\"])(.*?)\1", command)]
    count = 0
    for pipeline in spelled:
        bare = re.sub(r"\{[^}]*\}", "", pipeline)
        count += len([part for part in re.split(r"[,()]", bare) if part.strip() and not re.fullmatch(r"\s*[\w.]+\.\w+|any", part)])
    for flag in re.findall(r"(?<=\s)--?([a-z][\w-]*)", command):
        count += not DRIVER_FLAGS.match(flag)
    return count


def pipelines(tree):
    """A pipeline is spelled once, in lowering/Pipelines.cpp."""
    for name in _test_files(tree):
        for number, command in _run_lines(tree, name):
            for part in re.split(r"\|\||&&|[|;](?![^'\"]*['\"]\s)", command):
                if "peer-opt" not in part and "%peer-pass" not in part and "mlir-opt" not in part:
                    continue
                if _count_passes(part) > MAX_PASSES:
                    yield name, number, f"RUN line spells out more than {MAX_PASSES} passes; name a pipeline"


RULES = [directives, pipelines]
