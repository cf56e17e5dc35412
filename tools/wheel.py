#!/usr/bin/env python3
"""Makes the Python package with compiler and runtime as a wheel: python3 tools/wheel.py BUILD FOLDER. `./dev wheel` builds first.

Compiler, runtime and the libraries that they need, but those of C and C++ (every Linux that is as new as this one has them), go into
peer/_native; runtime/python/peer/_library.py looks there. A wheel is a zip with three files about itself, written here without any package.
"""
import base64
import hashlib
import os
import pathlib
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile

SOURCE = pathlib.Path(__file__).resolve().parents[1]
PACKAGE = SOURCE / "runtime" / "python"
SYSTEM = re.compile(r"(linux-vdso|ld-linux.*|libc|libm|libdl|libpthread|librt|libresolv|libutil|libstdc\+\+|libgcc_s)\.so.*")


def libraries(path):
    """(name, file) of what a program or library needs, of the needs of these, too."""
    done = subprocess.run(["ldd", path], check=True, capture_output=True, text=True).stdout
    if missing := re.findall(r"(\S+) => not found", done):
        sys.exit(f"wheel: error: {path} needs {', '.join(missing)}, which is not on this machine")
    return {name: pathlib.Path(file).resolve() for name, file in re.findall(r"^\s*(\S+) => (\S+)", done, re.M) if not SYSTEM.fullmatch(name)}


def openblas(build):
    """The library that the runtime opens by name."""
    cache = (build / "CMakeCache.txt").read_text(encoding="utf-8")
    found = re.search(r"^PEER_OPENBLAS_PTHREAD:\w+=(/.*)$", cache, re.M) or re.search(r"^PEER_OPENBLAS_SERIAL:\w+=(/.*)$", cache, re.M)
    return pathlib.Path(found.group(1)).resolve()


def contents(build):
    """Names in the wheel and the files there."""
    made = {f"peer/{path.relative_to(PACKAGE / 'peer')}": path for path in sorted((PACKAGE / "peer").rglob("*"))
            if path.suffix in (".py", ".pyi", ".typed") and "__pycache__" not in path.parts and "_native" not in path.parts}
    own = {"bin/peer-opt": build / "bin" / "peer-opt", "lib/libpeer_runtime.so": build / "lib" / "libpeer_runtime.so",
           "lib/libpeer_sim.so": build / "lib" / "libpeer_sim.so", "lib/libopenblas.so.0": openblas(build)}
    for path in own.values():
        if not path.exists():
            sys.exit(f"wheel: error: there is no {path}: ./dev build makes it")
    needed = {f"lib/{name}": file for path in own.values() for name, file in libraries(path).items()}
    return made, {f"peer/_native/{name}": file for name, file in {**needed, **own}.items()}


def licences(files):
    """What Debian's packages say of the libraries from them."""
    found = {}
    for path in files:
        # Links of merged folders: the package may know the file by its other path.
        for name in (str(path), str(path).removeprefix("/usr")):
            done = subprocess.run(["dpkg", "-S", name], capture_output=True, text=True) if shutil.which("dpkg") else None
            if done and done.returncode == 0:
                package = done.stdout.split(":")[0]
                text = pathlib.Path("/usr/share/doc") / package / "copyright"
                if text.exists():
                    found[f"licenses/{package}.txt"] = text
                break
    return found


def about(tag):
    """(name and version, METADATA, WHEEL)."""
    project = (PACKAGE / "pyproject.toml").read_text(encoding="utf-8")

    def field(name):
        return re.search(rf'^{name} = "(.*)"$', project, re.M).group(1)
    extras = re.findall(r'^(\w+) = \["(.*)"\]$', project.split("[project.optional-dependencies]")[1].split("[tool")[0], re.M)
    lines = ["Metadata-Version: 2.1", f"Name: {field('name')}", f"Version: {field('version')}", f"Summary: {field('description')}",
             f"Requires-Python: {field('requires-python')}", "License: Apache-2.0 WITH LLVM-exception"]
    for extra, wants in extras:
        lines += [f"Provides-Extra: {extra}", f'Requires-Dist: {wants}; extra == "{extra}"']
    metadata = "\n".join([*lines, "Description-Content-Type: text/markdown", "", (PACKAGE / "README.md").read_text(encoding="utf-8")])
    wheel = f"Wheel-Version: 1.0\nGenerator: peer\nRoot-Is-Purelib: false\nTag: py3-none-{tag}\n"
    return f"{field('name').replace('-', '_')}-{field('version')}", metadata, wheel


def write(path, files, texts, record):
    """Files and texts, and the list of all with hashes."""
    lines = []
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for name, data in [*((name, file.read_bytes) for name, file in files.items()), *((name, text.encode) for name, text in texts.items())]:
            data = data()
            # Equal files make equal wheels.
            entry = zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0))
            entry.compress_type, mode = zipfile.ZIP_DEFLATED, 0o755 if "/_native/" in name else 0o644
            entry.external_attr = (0o100000 | mode) << 16
            archive.writestr(entry, data)
            digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
            lines.append(f"{name},sha256={digest},{len(data)}")
        archive.writestr(record, "\n".join([*lines, f"{record},,", ""]))


def main():
    build, folder = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2])
    libc = os.confstr("CS_GNU_LIBC_VERSION").split()[1].replace(".", "_")
    tag = f"manylinux_{libc}_{platform.machine()}"
    python, native = contents(build)
    name, metadata, wheel = about(tag)
    information = f"{name}.dist-info"
    files = {**python, **native, f"{information}/licenses/LICENSE": SOURCE / "LICENSE",
             **{f"{information}/{place}": path for place, path in licences(native.values()).items()}}
    folder.mkdir(parents=True, exist_ok=True)
    made = folder / f"{name}-py3-none-{tag}.whl"
    with tempfile.TemporaryDirectory(prefix=".wheel-", dir=folder) as place:
        whole = pathlib.Path(place) / made.name
        write(whole, files, {f"{information}/METADATA": metadata, f"{information}/WHEEL": wheel}, f"{information}/RECORD")
        os.replace(whole, made)
    print(f"Made {made} ({made.stat().st_size >> 20} MiB); install it with: pip install {made}")


if __name__ == "__main__":
    main()
