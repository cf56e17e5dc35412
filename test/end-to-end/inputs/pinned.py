"""Where the threads of a command may run that has two processors, once it computes. usage: pinned.py [NAME=VALUE...] COMMAND..."""
import os
import subprocess
import sys
import time


def masks(process):
    """What each thread may use, the first one's first; none where they are gone."""
    try:
        tasks = sorted(map(int, os.listdir(f"/proc/{process.pid}/task")))
        return [os.sched_getaffinity(task) for task in tasks]
    except (FileNotFoundError, ProcessLookupError):
        return []


def main():
    command = sys.argv[1:]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "KMP_", "GOMP_", "PEER_PIN"))}
    while "=" in command[0]:
        name, _, value = command.pop(0).partition("=")
        environment[name] = value
    # A machine's quota may be less than all that it has.
    whole = set(sorted(os.sched_getaffinity(0))[:2])
    os.sched_setaffinity(0, whole)
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, env=environment)
    free = pinned = 0
    end = time.monotonic() + 120
    # Threads are started one after the other, and moved all at once.
    while process.poll() is None and time.monotonic() < end and not pinned:
        found = masks(process)
        workers = found[1:]
        if len(workers) + 1 >= len(whole) and found[0] == whole:
            pinned = len(workers) if sorted(map(sorted, workers)) == [[each] for each in sorted(whole)[1:]] else 0
            free += all(mask == whole for mask in workers)
        time.sleep(0.002)
    process.kill()
    process.wait()
    print("one processor" if len(whole) == 1 else "pinned" if pinned else "free" if free else "neither")


main()
