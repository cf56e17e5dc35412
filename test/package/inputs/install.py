"""Installs the Debian package in a bare Debian 12 and uses it there, without the source tree.

Usage: install.py PACKAGE FOLDER. FOLDER/root becomes the bare system, made by debootstrap. Prints what the tools said.
"""
import os
import pathlib
import shutil
import subprocess
import sys

MIRROR = "http://deb.debian.org"
SOURCES = f"deb {MIRROR}/debian bookworm main\ndeb {MIRROR}/debian-security bookworm-security main\n"
# What README.md shows, with few steps.
SESSION = r"""
cd /tmp
peer-opt /usr/share/peer/examples/tiny_peer_lm.mlir --target=cpu:x86-64-v3 -o tiny.peer
peer-run train tiny.peer --data /usr/share/common-licenses --steps 10 --batch 2 --eval-tokens 1024 --schedule cosine --warmup 2 --out run
peer-run generate tiny.peer --weights run/weights.safetensors --prompt "The " --tokens 20 --temperature 0.7 | wc -c
peer-opt /usr/share/peer/examples/peer_layer_small.mlir --target=sm_90 -o layer.peer
peer-run inspect layer.peer
peer-lsp-server --help >/dev/null
ls /usr/share/doc/peer /usr/share/doc/peer/examples/ /usr/include/peer_runtime.h
for tool in peer-opt peer-run peer-lsp-server; do ldd /usr/bin/$tool | grep 'not found' && exit 1; done
echo "everything found"
"""


def skip(why):
    print("skipped:", why)
    sys.exit(0)


def main():
    package, folder = (pathlib.Path(path).resolve() for path in sys.argv[1:3])
    if os.geteuid() != 0:
        skip("debootstrap and chroot need root")
    if not shutil.which("debootstrap"):
        skip("there is no debootstrap")
    root = folder / "root"
    made = subprocess.run(["debootstrap", "--variant=minbase", "bookworm", str(root), MIRROR + "/debian"],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if made.returncode != 0:
        skip("debootstrap failed here: " + " ".join(made.stdout.split("\n")[-2:]))
    (root / "etc/apt/sources.list").write_text(SOURCES)
    shutil.copy(package, root / "tmp/peer.deb")

    def inside(command):
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
        result = subprocess.run(["chroot", str(root), "sh", "-euc", command], env=environment, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, text=True)
        print(result.stdout)
        if result.returncode != 0:
            sys.exit(f"ended with {result.returncode}: {command}")

    try:
        inside("apt-get update -qq && apt-get install -y -qq --no-install-recommends /tmp/peer.deb >/tmp/apt.log 2>&1 || { cat /tmp/apt.log; exit 1; }")
        inside(SESSION)
        inside("apt-get remove -y -qq peer >/dev/null && test ! -e /usr/bin/peer-opt && echo removed")
    finally:
        shutil.rmtree(root, ignore_errors=True)


main()
