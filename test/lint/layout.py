"""Rules about files and folders: who includes whom, how long a file is, where headers lie, how they are guarded."""
import collections
import posixpath
import re

from tree import top

# Lower layers come first; a file includes its own layer and those before it.
# What compiler and runtime share.
SHARED = "artifact"
LAYERS = ["dialect", "passes", "lowering", "tools"]
FOREIGN = re.compile(r"(llvm|llvm-c|mlir|mlir-c|lld|clang)/")
INCLUDE = re.compile(r'\s*#\s*include\s+(["<])([^">]+)[">]')
# Lower rooms come first here, too. What stands beside the rooms of a layer (the device made of the simulator) includes what it likes.
ROOMS = {"runtime": ["core", "model", "device", "session", "lm", "report", "convert", "commands"], "runtime/sim": ["ptx", "memory", "exec"]}
MAX_SOURCES = 30
MAX_LINES, MAX_TEST_LINES, MAX_MAIN_LINES, MAX_DESCRIPTION_LINES = 400, 250, 80, 60


def _found(tree, includer, target):
    """The path of an included file, or None if it is not in the tree."""
    for folder in (posixpath.dirname(includer), "", "runtime"):
        path = posixpath.normpath(posixpath.join(folder, target))
        if path in tree.files:
            return path
    return None


def _owner(tree, includer, target):
    """The top folder of an included file, or None if it is not ours."""
    if path := _found(tree, includer, target):
        return top(path)
    # Generated headers lie beside no source but are included by the folder of theirs.
    return top(target) if top(target) in LAYERS + ["runtime"] else None


def _included(tree, name):
    """Triples (line, target, owner) of one file."""
    for number, line in tree.lines(name):
        if match := INCLUDE.match(line):
            quote, target = match.groups()
            yield number, target, _owner(tree, name, target) if quote == '"' else None


def includes(tree):
    """tools -> lowering -> passes -> dialect, and a runtime that knows none of them, nor LLVM."""
    for name in tree.having(".cpp", ".h", ".c"):
        folder = top(name)
        if folder == SHARED:
            for number, target, owner in _included(tree, name):
                if owner or FOREIGN.match(target):
                    yield name, number, f"{SHARED}/ has constants alone and includes nothing: {target}"
            continue
        below_runtime = folder == "runtime" or name == "tools/peer-run.cpp" or name.startswith("test/unit/runtime/")
        for number, target, owner in _included(tree, name):
            if below_runtime:
                if FOREIGN.match(target):
                    yield name, number, f"the runtime includes no header of LLVM or MLIR: {target}"
                elif owner in LAYERS:
                    yield name, number, f"the runtime includes nothing of the compiler: {target}"
            elif owner == "runtime" and folder != "test":
                yield name, number, f"only tools/peer-run.cpp and tests include the runtime: {target}"
            elif folder in LAYERS and owner in LAYERS and LAYERS.index(owner) > LAYERS.index(folder):
                yield name, number, f"{folder}/ may not include {owner}/: {target}"


def rooms(tree):
    """Folders of one layer that include one another in one direction alone: a file includes its own room and those before it."""
    for layer, order in ROOMS.items():
        for name in tree.having(".cpp", ".h", under=layer + "/"):
            room = top(name.removeprefix(layer + "/"))
            for number, target, _ in _included(tree, name):
                path = _found(tree, name, target)
                if room not in order or not path or not path.startswith(layer + "/"):
                    continue
                other = top(path.removeprefix(layer + "/"))
                if other in order[order.index(room) + 1:]:
                    yield name, number, f"{layer}/{room}/ may not include {layer}/{other}/: {target}"


def folders(tree):
    """No folder directly holds more sources than one can look through."""
    count = collections.Counter(posixpath.dirname(name) for name in tree.having(".cpp", ".h", ".c", ".td") if top(name) != "test")
    for folder, sources in sorted(count.items()):
        if sources > MAX_SOURCES:
            yield folder, 1, f"folder directly holds {sources} sources, expected at most {MAX_SOURCES}"


def sizes(tree):
    """No file is too long to be read at one go."""
    for name in tree.having(".cpp", ".h", ".c", ".td", ".py", ".mlir", ".test"):
        lines = [line for _, line in tree.lines(name)]
        limit = MAX_TEST_LINES if top(name) == "test" else MAX_LINES
        if top(name) == "tools" and not name.endswith(".py"):
            limit = MAX_MAIN_LINES
        if len(lines) > limit:
            yield name, len(lines), f"file is longer than {limit} lines"
        if name.startswith("examples/") and name.endswith(".mlir"):
            content = [line for line in lines if line.strip() and not line.strip().startswith("//")]
            if len(content) > MAX_DESCRIPTION_LINES:
                yield name, len(lines), f"description is longer than {MAX_DESCRIPTION_LINES} lines without its comments"


def headers(tree):
    """A header lies beside the source of its name, or at least beside sources."""
    sources = tree.having(".cpp", ".c")
    for name in tree.having(".h"):
        if top(name) == SHARED:
            continue
        folder, stem = posixpath.dirname(name), posixpath.splitext(posixpath.basename(name))[0]
        here = [source for source in sources if posixpath.dirname(source) == folder]
        if any(posixpath.basename(source).startswith(stem + ".") for source in here):
            continue
        # Folders of one layer may use a name twice; a header alone in its layer belongs to the one source of its name.
        away = [source for source in sources if top(source) == top(name) and
                posixpath.basename(source).startswith(stem + ".") and
                posixpath.splitext(source)[0] + ".h" not in tree.files]
        if away:
            yield name, 1, f"header does not lie beside {away[0]}"
        elif not here:
            yield name, 1, "header lies in a folder without sources"


def guards(tree):
    """Guards of the compiler's headers spell the path; elsewhere `#pragma once` does as well."""
    for name in tree.having(".h"):
        stem = posixpath.splitext(name)[0]
        spelled = re.sub(r"\W", "_", stem).upper()
        wanted = {f"PEER_{spelled}_H"} if top(name) in LAYERS else {f"PEER_{spelled}_H", f"{posixpath.basename(stem).upper()}_H"}
        text = tree.text(name)
        if re.search(r"^#pragma once$", text, re.M) and top(name) not in LAYERS:
            continue
        match = re.search(r"^#ifndef (\w+)\n#define \1$", text, re.M)
        if not match or match.group(1) not in wanted:
            yield name, 1, f"include guard is not {min(wanted)}"
    all_includes = "\n".join(tree.text(name) for name in tree.having(".td"))
    for name in tree.having(".td"):
        stem = posixpath.splitext(posixpath.basename(name))[0].upper()
        match = re.search(r"^#ifndef (\w+)\n#define \1$", tree.text(name), re.M)
        # The root of a dialect is included by nobody and needs none.
        if not match and f'include "{posixpath.basename(name)}"' not in all_includes:
            continue
        if not match or not match.group(1).replace("_", "").endswith(stem.removeprefix("PEER") + "TD"):
            yield name, 1, f"include guard does not spell {posixpath.basename(name)}"


RULES = [includes, rooms, folders, sizes, headers, guards]
