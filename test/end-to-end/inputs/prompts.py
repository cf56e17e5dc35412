"""Generates text from one prompt given in several ways, into a pipe and into a terminal. Usage: prompts.py MODEL.peer WEIGHTS"""
import os
import pty
import subprocess
import sys

problems = []
COMMAND = ["peer-run", "generate", *sys.argv[1:2], "--weights", sys.argv[2], "--tokens", "80", "--seed", "5", "--threads", "1"]


def generate(*arguments, stdin=b""):
    result = subprocess.run([*COMMAND, *arguments], input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120)
    if result.returncode != 0 or result.stderr:
        problems.append(f"{arguments}: exit code {result.returncode}, {result.stderr!r}")
    return result.stdout


def same(what, *texts):
    if len(set(texts)) != 1:
        problems.append(f"{what}: the texts differ")


def terminal(*arguments):
    """What a terminal receives."""
    master, slave = pty.openpty()
    process = subprocess.Popen([*COMMAND, *arguments], stdout=slave, stderr=subprocess.PIPE)
    os.close(slave)
    received = b""
    try:
        while piece := os.read(master, 4096):
            received += piece
    except OSError:  # Linux reports the end so
        pass
    os.close(master)
    if process.wait() != 0:
        problems.append(f"on a terminal: {process.stderr.read()!r}")
    process.stderr.close()
    return received.replace(b"\r\n", b"\n")


def shown(data):
    """The bytes with everything that is not printable text in digits."""
    text = ""
    for character in data.decode("utf-8", "surrogateescape"):
        code = ord(character)
        if 0xDC80 <= code <= 0xDCFF:
            text += f"\\x{code - 0xDC00:02x}"
        elif (code < 32 and character not in "\n\t") or 127 <= code < 160:
            text += "".join(f"\\x{byte:02x}" for byte in character.encode())
        else:
            text += character
    return text.encode()


PROMPT = b"Once\nupon \xc3\xa9\xff"
with open("prompt", "wb") as file:
    file.write(PROMPT)
open("empty", "wb").close()
same("one prompt", generate("--prompt", PROMPT), generate(b"--prompt=" + PROMPT), generate("--prompt-file", "prompt"),
     generate("--prompt-file", "-", stdin=PROMPT), generate("--prompt-file=-", stdin=PROMPT))
same("an empty prompt", generate("--prompt", ""), generate("--prompt="), generate("--prompt-file", "empty"),
     generate("--prompt-file", "-"), generate("--prompt", "\n"), generate("--prompt=", "--temperature=1"))
same("a prompt like an option", generate("--prompt=--seed"), generate("--prompt-file", "-", stdin=b"--seed"))
same("a dash", generate("--prompt", "-"), generate("--prompt-file", "-", stdin=b"-"))

piped = generate("--prompt", "a")
if len(piped) != 81 or shown(piped) == piped:
    problems.append("the model wrote nothing that would control a terminal: give it another seed")
if terminal("--prompt", "a") != shown(piped):
    problems.append(f"a terminal received {terminal('--prompt', 'a')!r}, expected {shown(piped)!r}")

for problem in problems:
    print("PROBLEM:", problem)
sys.exit(1 if problems else 0)
