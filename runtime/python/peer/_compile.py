"""Descriptions compiled by peer-opt, once each: artifacts are kept by what they depend on."""
import contextlib
import hashlib
import os
import pathlib
import subprocess
import tempfile

from ._artifact import Artifact
from ._library import Error, compiler_environment, find_compiler

KEPT = 256


def _folder():
    if given := os.environ.get("PEER_CACHE_DIR"):
        return pathlib.Path(given)
    return pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "peer" / "python"


def _processor():
    """What code for this CPU depends on; homes are shared by machines."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            return "".join(sorted({line for line in lines if line.startswith(("flags", "model name", "cpu family", "model\t"))}))
    except OSError:
        return ""


def _key(text, name, target, compiler):
    status = os.stat(compiler)
    parts = [text, name, target, os.path.realpath(compiler), str(status.st_size), str(status.st_mtime_ns)]
    if target == "cpu" or "native" in target:
        parts.append(_processor())
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _forget_old(folder):
    used = []
    for path in folder.glob("*.peer"):
        # Other processes forget, too.
        with contextlib.suppress(FileNotFoundError):
            used.append((path.stat().st_mtime, path))
    for _, path in sorted(used, reverse=True)[KEPT:]:
        path.unlink(missing_ok=True)


def _compile(text, name, target, compiler, to):
    """Writes the artifact under its name at once, whoever else compiles the same."""
    with tempfile.TemporaryDirectory(prefix=".compile-", dir=to.parent) as folder:
        source, made = pathlib.Path(folder) / name, pathlib.Path(folder) / "made"
        source.write_text(text, encoding="utf-8")
        done = subprocess.run([compiler, name, f"--target={target}", "-o", "made"], cwd=folder, stdin=subprocess.DEVNULL, env=compiler_environment(compiler),
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace")
        if done.returncode != 0:
            said = done.stderr.strip()
            raise Error(f"{name} was not compiled for {target}: {said or f'{compiler} ended with {done.returncode}'}")
        os.replace(made, to)


def compile(description, target="cpu", device="", threads=0):
    """Compiles a description and opens the artifact.

    description  the path of a `*.mlir` file, or its text
    target       as of peer-opt: "cpu", "cpu:x86-64-v3", "cpu:x86-64-v3+x86-64-v4" (several versions of the code, chosen where it is loaded), "sm_90"
    device       as of `peer.open`: "cpu", "cuda", "sim"
    threads      that calls compute with; 0: as many as OpenMP takes

    Artifacts are kept in $PEER_CACHE_DIR, or ~/.cache/peer/python, the 256 used last. What peer-opt objects to is the message of the Error.
    """
    given = os.fspath(description)
    if "\n" in given:
        text, name = given, "description.mlir"
    else:
        try:
            text, name = pathlib.Path(given).read_text(encoding="utf-8"), os.path.basename(given)
        except (OSError, UnicodeDecodeError) as error:
            raise Error(f"{given} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    compiler, folder = find_compiler(), _folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        kept = folder / f"{_key(text, name, target, compiler)}.peer"
        try:
            # First of all, so that no other process takes it for one that nobody uses.
            os.utime(kept)
        except FileNotFoundError:
            _compile(text, name, target, compiler, kept)
            _forget_old(folder)
    except OSError as error:
        raise Error(f"the artifact of {name} cannot be kept in {folder}: {error.strerror} ($PEER_CACHE_DIR says where)") from None
    return Artifact(kept, device, threads)
