"""Runs a small model under the limits that containers and batch systems set. Usage: containers.py MODEL.peer WEIGHTS MODEL.mlir"""
import os
import resource
import subprocess
import sys

MB = 1_000_000
problems = []
with open("text", "w") as file:
    file.write("A text of a few words that a model may read.\n" * 20)
EVAL = ["peer-run", "eval", sys.argv[1], "--weights", sys.argv[2], "--data", "text", "--json"]


def check(what, command, expected="", **options):
    """The command succeeds and says nothing, or fails with one sentence that has the expected words."""
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120, **options)
    # What an OpenBLAS older than the CPU gets said is the machine's own.
    error = "".join(line for line in result.stderr.decode().splitlines(True) if not line.startswith("peer-run: note: OpenBLAS"))
    good = error == "" if not expected else error.startswith("peer-run: error: ") and error.count("\n") == 1
    if result.returncode != (1 if expected else 0) or not good or expected not in error:
        problems.append(f"{what}: exit code {result.returncode}, {error!r}, expected {expected or 'success'!r}")
    return result.stdout.decode()


def addresses(megabytes):
    return lambda: resource.setrlimit(resource.RLIMIT_AS, (megabytes * MB, megabytes * MB))


def threads(count):
    return dict(os.environ, OMP_NUM_THREADS=str(count))


# The results do not depend on how many products may run at once.
free = check("no limits", EVAL, env=threads(32))
if check("32 threads in 2.5 GB of addresses", EVAL, preexec_fn=addresses(2500), env=threads(32)) != free:
    problems.append("other results in 2.5 GB of addresses")
check("2 threads in 700 MB", EVAL, preexec_fn=addresses(700), env=threads(2))
check("4096 threads in 3 GB", EVAL, "give fewer with --threads or OMP_NUM_THREADS", preexec_fn=addresses(3000), env=threads(4096))


# One process for this user and no more: the compiler does without threads, the runtime says what it would need.
if os.getuid() == 0:
    os.chmod(".", 0o777)

    def alone():
        resource.setrlimit(resource.RLIMIT_NPROC, (1, 1))
        os.setuid(54321)

    check("peer-opt without threads", ["peer-opt", sys.argv[3], "--target=cpu", "-o", "few.peer"], preexec_fn=alone)
    check("peer-run with one", [*EVAL, "--threads", "1"], preexec_fn=alone)
    check("peer-run with three", [*EVAL, "--threads", "3"],
          "cannot compute with 3 threads: the system starts only 1 (Resource temporarily unavailable", preexec_fn=alone)


def group(files, command):
    """A command that sees these files as its control group."""
    lines = ["mount -t tmpfs x /sys/fs", "mkdir /sys/fs/cgroup", "cd /sys/fs/cgroup"]
    lines += [f"printf '%b' '{text}' > {name}" for name, text in files.items()]
    return ["unshare", "-rm", "sh", "-ec", "; ".join(lines) + f"; cd {os.getcwd()}; exec " + " ".join(command)]


if subprocess.run(group({}, ["true"]), stderr=subprocess.DEVNULL).returncode == 0:
    memory = {"memory.max": "2000000000\\n", "memory.current": "1990000000\\n"}
    cached = dict(memory, **{"memory.stat": "anon 9\\ninactive_file 1800000000\\n"})
    check("a group full of cache", group(cached, EVAL))
    check("a full group", group(dict(memory, **{"memory.current": "2000000000\\n"}), EVAL), "0 bytes available")
    bench = ["peer-run", "bench", sys.argv[1], "logits", "--repeat", "1"]
    unset = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    one = check("a quota of one", group({"cpu.max": "100000 100000\\n"}, bench), env=unset)
    if "1 threads" not in one:
        problems.append(f"a quota of one processor: {one!r}")

for problem in problems:
    print("PROBLEM:", problem)
sys.exit(1 if problems else 0)
