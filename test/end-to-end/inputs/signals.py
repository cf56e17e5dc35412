"""Training whose terminal, pipe or disk goes away, or that a signal reaches. Usage: signals.py MODEL FOLDER"""
import os
import re
import signal
import subprocess
import sys
import time

import training


class Run:
    """A run that goes on until it is told to stop; what it says goes to `stderr`."""

    def __init__(self, model, out, stderr=subprocess.DEVNULL, ignored=()):
        def prepare():
            for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE, signal.SIGUSR1):
                signal.signal(name, signal.SIG_IGN if name in ignored else signal.SIG_DFL)
        self.out = out
        self.process = subprocess.Popen(training.command(model, out, 1000000, "--eval-every", "1000000"),
                                        stdout=subprocess.DEVNULL, stderr=stderr, preexec_fn=prepare)

    def wait_for(self, step):
        training.wait_for_step(self.process, self.out, step)

    def later(self, steps):
        self.wait_for(training.logged_steps(self.out)[-1] + steps)

    def end(self, how):
        self.process.send_signal(how)
        self.process.wait(timeout=60)
        return self.report()

    def report(self):
        last = training.logged_steps(self.out)[-1]
        return f"exit code {self.process.returncode}, saved the last step: {training.newest(self.out) == last}"


def main():
    model, folder = sys.argv[1], sys.argv[2]
    place = lambda name: os.path.join(folder, name)

    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        run = Run(model, place(name))
        run.wait_for(3)
        print(f"{name}: {run.end(getattr(signal, name))}")

    # Sent twice at once, as `timeout` does.
    run = Run(model, place("twice"))
    run.wait_for(3)
    run.process.send_signal(signal.SIGINT)
    print("twice:", run.end(signal.SIGINT))

    # What was ignored at the start stays ignored: nohup.
    run = Run(model, place("nohup"), ignored=(signal.SIGHUP,))
    run.wait_for(3)
    run.process.send_signal(signal.SIGHUP)
    run.later(20)
    print("nohup:", run.end(signal.SIGTERM))

    run = Run(model, place("usr1"))
    run.wait_for(3)
    run.process.send_signal(signal.SIGUSR1)
    deadline = time.monotonic() + 60
    while not training.newest(run.out) and time.monotonic() < deadline:
        time.sleep(0.01)
    saved = training.newest(run.out)
    run.later(20)
    print("usr1: saved and went on:", saved > 0 and run.process.poll() is None)
    print("usr1:", run.end(signal.SIGTERM))

    # The reader of a pipe goes, then the run is stopped.
    read, write = os.pipe()
    run = Run(model, place("pipe"), stderr=write)
    os.close(write)
    run.wait_for(3)
    os.close(read)
    run.process.send_signal(signal.SIGUSR1)
    run.later(20)
    print("pipe:", run.end(signal.SIGINT))

    # A pipe that nobody reads, full and blocking, then full and not blocking.
    for blocking in (True, False):
        read, write = os.pipe()
        os.set_blocking(write, False)
        try:
            while True:
                os.write(write, b"x" * 4096)
        except BlockingIOError:
            pass
        os.set_blocking(write, blocking)
        run = Run(model, place(f"full{blocking}"), stderr=write)
        run.wait_for(3)
        print(f"full pipe: {run.end(signal.SIGINT)}")
        os.close(read)
        os.close(write)

    with open("/dev/full", "wb") as full:
        run = Run(model, place("disk"), stderr=full)
        run.wait_for(3)
        print("full disk:", run.end(signal.SIGINT))

    # A terminal that is closed.
    master, slave = os.openpty()
    run = Run(model, place("terminal"), stderr=slave)
    os.close(slave)
    run.wait_for(3)
    os.close(master)
    run.later(20)
    print("terminal:", run.end(signal.SIGHUP))

    # Two processes in one directory.
    run = Run(model, place("two"))
    run.wait_for(3)
    second = subprocess.run(training.command(model, run.out, 1000000, "--resume"), stderr=subprocess.PIPE, text=True)
    print("second:", second.returncode, re.sub(r" on \S+, since [-0-9]+ [:0-9]+ UTC", " on HOST, since THEN", second.stderr)
          .replace(str(run.process.pid), "FIRST").replace(run.out, "OUT").strip())
    # Killed, it leaves its lock, which holds nobody up.
    run.process.kill()
    run.process.wait()
    subprocess.run(training.command(model, run.out, training.newest(run.out) + 2, "--resume"), check=True,
                   stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    print("after a kill: went on,", "lock left" if os.path.exists(os.path.join(run.out, "lock")) else "no lock left")


main()
