"""Compiles descriptions for GPUs and holds what ptxas says about their kernels against a table of budgets.

usage: ptxas_gate.py --budgets TABLE --out FOLDER [--arch sm_80,sm_90] MODEL.mlir ... [--last MODEL.mlir ...]

No kernel spills or uses local memory beyond what its row allows, no kernel takes more registers than its budget (registers are what limits how many
blocks an SM holds, so a budget is an occupancy), and no PTX calls a library. Prints one row per kernel and what is wrong;
exit code 1 if anything is. Without ptxas on the machine only the PTX is looked at.
"""
import argparse
import concurrent.futures
import fnmatch
import os
import pathlib
import re
import shutil
import subprocess
import sys

ENTRY = re.compile(r"Compiling entry function '(\w+)'")
FRAME = re.compile(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads")
USED = re.compile(r"Used (\d+) registers")
SHARED = re.compile(r"(\d+) bytes smem")
# kernel_7_part2, the copy of a kernel for another shape, goes by kernel_part2.
COPY = re.compile(r"_\d+(?=_part\d+$|$)")
THREADS = re.compile(r"\.(?:max|req)ntid (\d+)")
# Shared memory of an SM in KiB; a block takes 1 KiB more than it asks for.
SHARED_KIB = {"sm_80": 164, "sm_90": 228}


class Kernel:
    """What is known of one kernel of one description."""

    def __init__(self, model, arch, name, threads):
        self.model, self.arch, self.name, self.threads = model, arch, name, threads
        self.registers = self.shared = self.stack = self.spills = 0

    def blocks(self):
        """Blocks that an SM holds at once: by threads, by registers (given out by 8 a thread), by static shared memory."""
        registers = -(-max(self.registers, 1) // 8) * 8
        shared = SHARED_KIB[self.arch] * 1024 // (self.shared + 1024)
        return min(2048 // self.threads, 65536 // (registers * self.threads), shared, 32)

    def row(self):
        percent = 100 * self.blocks() * self.threads // 2048
        return (f"{self.model:22} {self.arch} {self.name:34} {self.threads:4} {self.registers:4} {self.shared:7} "
                f"{self.stack:6} {self.spills:6} {percent:4}%")


class Budgets:
    """Rows `kernel description registers local-bytes reason`, patterns as in file names; the first that matches counts."""

    def __init__(self, path):
        self.rows, self.used = [], set()
        for line in path.read_text(encoding="utf-8").splitlines():
            if line.strip() and not line.startswith("#"):
                kernel, model, registers, local, *reason = line.split(None, 4)
                if int(local) and not reason:
                    sys.exit(f"{path.name}: local memory of {kernel} is allowed without a reason")
                self.rows.append((kernel, model, int(registers), int(local)))

    def of(self, kernel):
        for row in self.rows:
            if fnmatch.fnmatchcase(COPY.sub("", kernel.name), row[0]) and fnmatch.fnmatchcase(kernel.model, row[1]):
                self.used.add(row)
                return row
        return None

    def check(self, kernel):
        """What is wrong with a kernel, in sentences."""
        row = self.of(kernel)
        if row is None:
            return ["has no budget"]
        wrong = []
        if kernel.spills > row[3]:
            wrong.append(f"spills {kernel.spills} bytes, allowed are {row[3]}")
        if kernel.stack > row[3]:
            wrong.append(f"has {kernel.stack} bytes of local memory, allowed are {row[3]}")
        if kernel.registers > row[2]:
            wrong.append(f"takes {kernel.registers} registers, its budget is {row[2]}")
        return wrong


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}: {done.stderr or done.stdout}")
    return done.stdout + done.stderr


def measure(ptxas, out, model, arch):
    """The kernels of one description on one architecture; none without ptxas."""
    ptx = out / f"{model.stem}.{arch}.ptx"
    run("peer-opt", model, f"--target={arch}", "--emit=asm", "-o", ptx)
    text = ptx.read_text(encoding="utf-8")
    if match := re.search(r"\.extern|__nv_\w+", text):
        sys.exit(f"{ptx.name}: calls what is not there: {match.group(0)}")
    if not ptxas:
        return []
    threads = {}
    for entry in text.split(".entry ")[1:]:
        limit = THREADS.search(entry[:entry.index("{")])
        threads[re.match(r"\w+", entry).group(0)] = int(limit.group(1)) if limit else 1024
    kernels, kernel = [], None
    for line in run(ptxas, f"-arch={arch}", "-v", ptx, "-o", ptx.with_suffix(".cubin")).splitlines():
        if match := ENTRY.search(line):
            kernel = Kernel(model.stem, arch, match.group(1), threads[match.group(1)])
            kernels.append(kernel)
        elif kernel and (match := FRAME.search(line)):
            kernel.stack, kernel.spills = int(match.group(1)), int(match.group(2)) + int(match.group(3))
        elif kernel and (match := USED.search(line)):
            kernel.registers = int(match.group(1))
            kernel.shared = int(found.group(1)) if (found := SHARED.search(line)) else 0
    return kernels


def find_ptxas():
    """As peer-opt looks for it."""
    folders = [os.path.join(os.environ[name], "bin") for name in ("CUDA_PATH", "CUDA_HOME") if name in os.environ]
    return shutil.which("ptxas", path=os.pathsep.join(folders + [os.environ["PATH"], "/usr/local/cuda/bin"]))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--budgets", type=pathlib.Path, required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--arch", default="sm_80,sm_90")
    parser.add_argument("--whole", action="store_true", help="these are all descriptions: each row of the table must serve one")
    parser.add_argument("models", type=pathlib.Path, nargs="+")
    parser.add_argument("--last", type=pathlib.Path, nargs="+", default=[], help="more descriptions, for the last architecture alone")
    arguments = parser.parse_args()
    architectures = arguments.arch.split(",")
    ptxas = find_ptxas()
    arguments.out.mkdir(parents=True, exist_ok=True)
    budgets, wrong = Budgets(arguments.budgets), []
    jobs = [(ptxas, arguments.out, model, arch) for model in arguments.models for arch in architectures]
    jobs += [(ptxas, arguments.out, model, architectures[-1]) for model in arguments.last if model not in arguments.models]
    print("Shared memory that is asked for at a launch is not counted; kernels that use it show 1 byte.")
    print(f"{'description':22} arch  {'kernel':34} thrd regs  shared  local spills occup")
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for kernels in pool.map(lambda job: measure(*job), jobs):
            for kernel in sorted(kernels, key=lambda k: k.name):
                print(kernel.row())
                wrong += [f"{kernel.model}, {kernel.arch}: {kernel.name} {what}" for what in budgets.check(kernel)]
    if not ptxas:
        print("skipped: registers and local memory, which want ptxas; the PTX calls no library")
        return 0
    if arguments.whole:
        wrong += [f"{row[0]} {row[1]}: no kernel has this budget" for row in budgets.rows if row not in budgets.used]
    print("\n".join(wrong) or "all kernels are within their budgets")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
