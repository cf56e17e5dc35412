"""A short training run in which one call fails, for every call of every kind that the runtime makes.

Each run must end well, with the weights of an undisturbed run, or with exit code 1 and a sentence. What was reported as saved must
be there, and the next run must go on from it to the same weights, bit for bit, and leave no temporary file.
Of allocations those fail that are the first from their callers. Usage: faults.py LIBRARY MODEL [KIND ...]

The thousands of runs wait for disks more than they compute: they lie in memory where there is such a folder, several at a time.
"""
import concurrent.futures
import errno
import hashlib
import os
import queue
import re
import shutil
import subprocess
import sys
import tempfile

import tensors
import training

ERRORS = {"write": errno.ENOSPC, "read": errno.EIO, "fsync": errno.EIO, "rename": errno.EIO, "mmap": errno.ENOMEM, "open": errno.EMFILE,
          "mkdir": errno.ENOSPC, "list": errno.EMFILE, "ftruncate": errno.EIO, "close": errno.EIO, "unlink": errno.EACCES, "allocate": errno.ENOMEM}
# A disk that is full stays so.
STAY = ("write", "fsync", "rename", "open")
AT_A_TIME = 4


class Faults:
    """Runs in a folder. `good` are the states from which runs go on well, for all folders."""

    def __init__(self, library, model, folder, good):
        self.library, self.folder, self.out, self.good = library, folder, os.path.join(folder, "run"), good
        text = os.path.join(folder, "text")
        with open(text, "w") as file:
            file.write("A run that fails at any call loses nothing that it said it had saved.\n" * 20)
        self.command = ["peer-run", "train", model, "--data", text, "--steps", "3", "--batch", "1", "--save-every", "1", "--eval-every", "2",
                        "--threads", "1", "--out", self.out]

    def run(self, *more, **environment):
        if environment:
            environment["LD_PRELOAD"] = self.library
        return subprocess.run([*self.command, *more], env=dict(os.environ, **environment), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True, errors="replace", timeout=120)

    def fresh(self):
        shutil.rmtree(self.out, ignore_errors=True)

    def weights(self):
        with open(os.path.join(self.out, "weights.safetensors"), "rb") as file:
            return file.read()

    def undisturbed(self):
        """The weights of a run in which nothing fails."""
        self.fresh()
        run = self.run()
        assert run.returncode == 0, run.stderr
        self.expected = self.weights()

    def count(self):
        """The number of calls of each kind, and of each the first from its callers."""
        self.fresh()
        counts = os.path.join(self.folder, "counts")
        run = self.run(PEER_FAULT_COUNTS=counts)
        assert run.returncode == 0, run.stderr
        with open(counts) as file:
            return {line.split()[0]: [int(number) for number in line.split()[1:]] for line in file}

    def state(self):
        """What a resumed run depends on: checkpoints and weights by contents, the log by its steps, other files by name."""
        found = []
        for name in sorted(os.listdir(self.out)) if os.path.isdir(self.out) else []:
            path = os.path.join(self.out, name)
            if name.endswith(".safetensors"):
                tensors.load(path)
                with open(path, "rb") as file:
                    name += hashlib.sha256(file.read()).hexdigest()
            elif name == "log.jsonl":
                name += str(training.logged_steps(self.out)) + str(os.path.getsize(path) == 0)
            found.append(re.sub(r"\.tmp\..*", ".tmp", name))
        return tuple(found)

    def check(self, run):
        """What is wrong with a run in which a call failed, or nothing."""
        if run.returncode not in (0, 1):
            return f"exit code {run.returncode}"
        lines = run.stderr.splitlines()
        errors = [line for line in lines if line.startswith("peer-run: error: ")]
        if run.returncode == 1 and (len(errors) != 1 or lines[-1] != errors[0] or "unexpected" in errors[0]):
            return "no single sentence at the end"
        if run.returncode == 0 and self.weights() != self.expected:
            return "other weights"
        saved = re.findall(r"saved (\S+checkpoint-\d+\.safetensors)", run.stderr)
        there = training.checkpoints(self.out)
        for name in map(os.path.basename, saved):
            # Two newer ones push it out.
            if name not in there and sum(training.step_of(other) > training.step_of(name) for other in there) < 2:
                return f"{name} was saved and is not there"
        return self.go_on("log.jsonl: " in run.stderr)

    def go_on(self, unlogged):
        """The next run, without faults; one of each state is enough. A step whose line could not be written, as the error said, and whose
        state was saved, is missing in the log."""
        state = self.state()
        if state in self.good:
            return None
        run = self.run("--resume") if any(name.startswith(("log", "checkpoint")) for name in state) else self.run()
        if run.returncode != 0:
            return f"the next run fails: {run.stderr}"
        if self.weights() != self.expected:
            return "the next run has other weights"
        logged = training.logged_steps(self.out)
        if logged != [step for step in (1, 2, 3) if step in logged] or len(logged) < (2 if unlogged else 3):
            return f"the next run has a log of the steps {logged}"
        if left := [name for name in os.listdir(self.out) if ".tmp." in name]:
            return f"the next run leaves {left}"
        self.good.add(state)
        return None


    def attempt(self, fault):
        """A run with a fault: whether it ended well, and what is wrong with it, if anything is."""
        self.fresh()
        run = self.run(PEER_FAULT=fault)
        why = self.check(run)
        return run.returncode == 0, f"PEER_FAULT={fault}: {why}\n{run.stderr}" if why else None


def worker(library, model, folder, good):
    """Of a folder of its own."""
    faults = Faults(library, model, tempfile.mkdtemp(dir=folder), good)
    faults.undisturbed()
    return faults


def main():
    library, model, *wanted = sys.argv[1:]
    model, good, wrong = os.path.abspath(model), set(), 0
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=memory) as folder, concurrent.futures.ThreadPoolExecutor(AT_A_TIME) as pool:
        workers = [worker(library, model, folder, good) for _ in range(AT_A_TIME)]
        counts = workers[0].count()
        idle = queue.SimpleQueue()
        for each in workers:
            idle.put(each)

        def attempt(fault):
            faults = idle.get()
            try:
                return faults.attempt(fault)
            finally:
                idle.put(faults)

        for kind, (calls, *firsts) in counts.items():
            if calls == 0 or wanted and kind not in wanted:
                continue
            numbers = firsts if kind == "allocate" else range(1, calls + 1)
            tried = [f"{kind}:{number}:{ERRORS[kind]}{stays}" for number in numbers for stays in (("", ":on") if kind in STAY else ("",))]
            results = list(pool.map(attempt, tried))
            for report in filter(None, (report for _, report in results)):
                wrong += 1
                print(report, flush=True)
            print(f"{kind}: {calls} calls, {len(tried)} failures tried, {sum(well for well, _ in results)} runs ended well", flush=True)
    print(f"{wrong} wrong")


main()
