"""Which OpenMP the programs and libraries get: the one they were built with, in the build folder and where they are installed.

Usage: run_path.py BUILD PREFIX. Prints a line for each file, and exits with 1 where one is wrong.
"""
import pathlib
import re
import subprocess
import sys


def said(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True, env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"}).stdout


def complaint(path, folder):
    """What is wrong with a file, or None."""
    paths = re.search(r"\((?:RUNPATH|RPATH)\).*\[(.*)\]", said("readelf", "-d", path))
    entries = paths.group(1).split(":") if paths else []
    # An empty entry is the current folder of whoever starts the program.
    if not all(entry.startswith(("/", "$ORIGIN")) for entry in entries):
        return f"its run path has other than absolute entries: {entries}"
    if str(folder) not in entries:
        return f"its run path is {entries}, without {folder}"
    found = re.search(r"libomp\.so\S* => (\S+)", said("ldd", path))
    if not found or pathlib.Path(found.group(1)).parent != folder:
        return f"it gets {found.group(1) if found else 'no OpenMP'}, not that of {folder}"
    return None


def main():
    build, prefix = (pathlib.Path(argument) for argument in sys.argv[1:3])
    library = re.search(r"^OpenMP_omp_LIBRARY:FILEPATH=(.*)$", (build / "CMakeCache.txt").read_text(), re.M).group(1)
    folder = pathlib.Path(library).resolve().parent
    wrong = 0
    for root in (build, prefix):
        for name in ("bin/peer-run", "lib/libpeer_runtime.so", "lib/libpeer_sim.so"):
            problem = complaint(root / name, folder)
            print(f"{name}: {problem or 'as built'}")
            wrong += problem is not None
    return 1 if wrong else 0


sys.exit(main())
