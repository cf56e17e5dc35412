"""Installs a wheel into an environment of its own and uses it where LLVM, OpenBLAS and the build folder are hidden, with an empty PATH.

Usage: wheel.py WHEEL BUILD DESCRIPTION. Prints "compiled and run: SHAPE, N from elsewhere", N libraries that should have been the wheel's, or
"skipped: WHY".
"""
import pathlib
import shutil
import subprocess
import sys
import tempfile

USE = """
import array, pathlib, re, sys
import peer
from peer import _library
model = peer.compile("layer.mlir").init(seed=1)
y = model.layer(memoryview(bytearray(array.array("f", [1.0] * 1024).tobytes())).cast("f", [16, 64]))
assert any(memoryview(y).cast("B"))
used = set(re.findall(r"/\\S*/lib(?:omp|openblas|peer_runtime|gfortran|quadmath)[^/]*\\.so\\S*", pathlib.Path("/proc/self/maps").read_text()))
assert any("libopenblas" in path for path in used) and any("libomp" in path for path in used), used
strange = [path for path in [*used, _library.find_compiler(), _library.find_runtime()] if not path.startswith(sys.prefix)]
print("compiled and run: (%d, %d), %d from elsewhere" % (*y.shape, len(strange)), *strange)
"""


def main():
    wheel, build, description = (pathlib.Path(argument).resolve() for argument in sys.argv[1:4])
    with tempfile.TemporaryDirectory(prefix="peer-wheel-") as folder:
        folder = pathlib.Path(folder)
        if subprocess.run([sys.executable, "-m", "venv", folder / "venv"], capture_output=True).returncode != 0:
            print("skipped: this Python has no venv")
            return
        python = folder / "venv" / "bin" / "python"
        subprocess.run([python, "-m", "pip", "install", "-q", "--no-index", "--no-deps", "--disable-pip-version-check", wheel], check=True)
        (folder / "use.py").write_text(USE, encoding="utf-8")
        shutil.copy(description, folder / "layer.mlir")
        command = ["env", "-i", f"HOME={folder}", "PATH=/nonexistent", python, "use.py"]
        if subprocess.run(["unshare", "-rm", "sh", "-c", "mount -t tmpfs x /mnt"], capture_output=True).returncode == 0:
            hidden = [build, *pathlib.Path("/usr/lib").glob("llvm-*"), *pathlib.Path("/usr/lib").glob("*/openblas-*")]
            hide = "; ".join(f"mount -t tmpfs x '{path}'" for path in hidden)
            command = ["unshare", "-rm", "sh", "-c", f'set -e; {hide}; exec "$@"', "sh", *command]
        subprocess.run(command, check=True, cwd=folder)


main()
