"""Rules about what has a test: every op, every pass; and how flags are named."""
import posixpath
import re

OP = re.compile(r'^def \w+ : \w*Op\w*<\s*"([a-z]\w*)"', re.M)
PASS = re.compile(r'^def \w+ : \w*Pass<"([\w-]+)"', re.M)
PIPELINE = re.compile(r'PassPipelineRegistration<[^>]*>\(\s*"([\w-]+)"')
PASS_TESTS = {"passes": "test/passes/", "lowering": "test/lowering/", "lowering/blocks": "test/lowering/"}


def _line(text, offset):
    return text.count("\n", 0, offset) + 1


def _ops(tree):
    """Tuples (file, line, mnemonic, constraints) of the ODS definitions."""
    for name in tree.having(".td", under="dialect/"):
        text = tree.text(name)
        found = list(OP.finditer(text))
        for match, following in zip(found, found[1:] + [None]):
            body = text[match.end():following.start() if following else len(text)]
            yield name, _line(text, match.start()), match.group(1), re.findall(r"^\s*- (C\d+):", body, re.M)


def _is_round_trip(path, text):
    """Reads what it printed: by name, by the flag, or by a second run of the tool on the output of the first."""
    return re.search("round-?trip", path) or "--verify-roundtrip" in text or re.search(r"RUN:.*peer-(opt|pass).*\|\s*(%?peer-(opt|pass))", text)


def ops(tree):
    """Each op has a round-trip test and, if it has constraints, an error test that mentions it."""
    tests = {name: tree.text(name) for name in tree.having(".mlir", under="test/")}
    round_trips = "\n".join(text for name, text in tests.items() if _is_round_trip(name, text))
    errors = "\n".join(text for text in tests.values() if re.search(r"RUN:.*--?verify-diagnostics", text))
    for name, line, mnemonic, constraints in _ops(tree):
        mention = re.compile(rf"\bpeer\.{mnemonic}\b")
        if not mention.search(round_trips):
            yield name, line, f"peer.{mnemonic} is in no round-trip test"
        if constraints and not mention.search(errors):
            yield name, line, f"peer.{mnemonic} has constraints and is in no error test"


def passes(tree):
    """Each pass has a test file named as its flag; flags begin with peer-."""
    for name in tree.having(".td"):
        text = tree.text(name)
        for match in PASS.finditer(text):
            flag, line = match.group(1), _line(text, match.start())
            if not flag.startswith("peer-"):
                yield name, line, f"flag --{flag} does not begin with peer-"
            folder = PASS_TESTS.get(posixpath.dirname(name))
            if folder and not {f"{folder}{flag}.mlir", f"{folder}{flag}.test"} & set(tree.files):
                yield name, line, f"no test {folder}{flag}.mlir"
    for name in tree.having(".cpp"):
        for match in PIPELINE.finditer(tree.text(name)):
            if not match.group(1).startswith("peer-"):
                yield name, _line(tree.text(name), match.start()), f"flag --{match.group(1)} does not begin with peer-"


RULES = [ops, passes]
