"""Compiles and runs the examples of a page of the documentation.

Usage: run_page.py PAGE OPS_REFERENCE
In the current folder, which holds text.txt to train on:
- an mlir block that begins with `// NAME.mlir` becomes that file; all others are one module, each at its line of the page, so
  that a diagnostic names that line. The module is compiled for the CPU and each of its entries runs.
- sh blocks run in their order.
- a text block after a file is what peer-opt says when it refuses the file.
Every op that people write must be in an example; those that the compiler writes are listed here.
"""
import re
import subprocess
import sys

WRITTEN_BY_PASSES = re.compile(r"route|\w+_(grad|norm_grad)|\w+_grad_norm|batch_stats|cached_\w+|rotary_at|mark|row_update|update|usage|"
                               r"sort_pairs|sum_squares|column_sums|pack_keys")


def blocks(page):
    """Tuples (language, number of its first line, lines) of the fenced blocks."""
    language, start, found = None, 0, []
    for number, line in enumerate(page.split("\n"), 1):
        if not line.startswith("```"):
            if language is not None:
                found.append(line)
        elif language is None:
            language, start, found = line[3:], number + 1, []
        else:
            yield language, start, found
            language = None


def run(*command):
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if result.returncode != 0:
        sys.exit(f"{' '.join(command)} ended with {result.returncode}:\n{result.stdout}")
    return result.stdout


def check_refused(file, expected):
    result = subprocess.run(["peer-opt", file, "--target=cpu", "-o", "refused.peer"], capture_output=True, text=True)
    missing = [line for line in expected if line not in result.stderr]
    if result.returncode != 1 or missing:
        sys.exit(f"{file}: exit code {result.returncode}, said:\n{result.stderr}the page says:\n" + "\n".join(expected))


def main():
    page, reference = (open(path, encoding="utf-8").read() for path in sys.argv[1:3])
    module, code, entries, commands, files, refused = [], "", [], 0, 0, 0
    file = None
    for language, start, lines in blocks(page):
        name = re.fullmatch(r"// (\w+\.mlir)", lines[0]) if language == "mlir" else None
        if language == "mlir":
            code += "\n".join(lines)
        if name:
            file = name.group(1)
            files += 1
            with open(file, "w", encoding="utf-8") as out:
                out.write("\n".join(lines) + "\n")
        elif language == "mlir":
            module += [""] * (start - 1 - len(module)) + lines
            entries += re.findall(r"^(?:func\.func|peer\.gradient) @(\w+)", "\n".join(lines), re.M)
        elif language == "sh":
            run("bash", "-euc", "\n".join(lines))
            commands += len(lines)
        elif language == "text":
            check_refused(file, lines)
            refused += 1
    ops = set(re.findall(r"^### `peer\.(\w+)` ", reference, re.M))
    missing = [op for op in sorted(ops) if not WRITTEN_BY_PASSES.fullmatch(op) and not re.search(rf"\bpeer\.{op}\b", code)]
    if missing or not ops:
        sys.exit(f"no example of {', '.join(missing)}")
    with open("page.mlir", "w", encoding="utf-8") as out:
        out.write("\n".join(module) + "\n")
    run("peer-opt", "page.mlir", "--target=cpu", "-o", "page.peer")
    for entry in entries:
        run("peer-run", "bench", "page.peer", entry, "--dim", "T=8", "--repeat", "1")
    print(f"{len(entries)} entries ran, {files} files written, {commands} commands run, {refused} refusals as written")


main()
