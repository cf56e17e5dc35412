#!/usr/bin/env python3
"""Makes the folder that a machine with a GPU needs: programs, libraries, artifacts, recorded calls. `./dev gpu-check` builds first."""
import argparse
import concurrent.futures
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile

import benchmarks

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
LIMIT = 60_000_000
DATA = "data.tar.xz"
# Plain loops are no kernels that anybody runs for their speed.
# Steps in parts set tensors of their sessions between calls, which no recording has.
CASES = "Gpu*:*/Gpu*-*GpuLoops*:Accumulate.*"
QUICK_CASES = "RoutingForward.Mix*/GpuStatic:Gpu/GpuPolynomials.*/exp"
LIBC = re.compile(r"^(libc|libm|libdl|libpthread|librt|libresolv|libutil|ld-linux-x86-64)\.so\.\d+$")
README = """A check of compiled kernels for NVIDIA GPUs ({arch}), made by `./dev gpu-check`.

  ./run.sh                          checks and benchmarks on this machine's GPU; a few minutes
  ./run.sh --device sim --small     the same without a GPU, kernels executed on the CPU
  ./run.sh --help                   the options

Needed: x86-64 Linux with tar and an NVIDIA driver for CUDA 12.0 or newer. Where python3 has torch with CUDA, the same is measured there.
Results: results.json and results.md in the current folder, or in --out DIR; exit code 1 where anything failed.
A case compares a kernel's results with double precision; a benchmark compares a time with a target (README of test/gpu-check).
"""


def fail(message):
    sys.exit(f"gpu-check: error: {message}")


def compile_artifact(build, arch, text, target):
    """The compiler's complaint, or None."""
    with tempfile.TemporaryDirectory(prefix="peer-gpu-check-") as folder:
        model = pathlib.Path(folder) / f"{target.stem}.mlir"
        model.write_text(text, encoding="utf-8")
        done = subprocess.run([build / "bin/peer-opt", model, f"--target={arch}", "-o", target], capture_output=True, text=True, check=False)
        return None if done.returncode == 0 else done.stderr.strip().splitlines()[0].partition("error: ")[2]


def compile_benchmarks(build, arch, out, sizes):
    """Artifacts and benchmarks.json."""
    specs, texts = [], {}
    for small in sizes:
        for spec, text in benchmarks.specifications(small):
            specs.append(spec)
            texts[spec["artifact"]] = text
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        errors = dict(zip(texts, pool.map(lambda name: compile_artifact(build, arch, texts[name], out / name), texts)))
    for spec in specs:
        if error := errors[spec["artifact"]]:
            fail(f"{spec['artifact']}: {error}")
    (out / "benchmarks.json").write_text(json.dumps(specs, indent=1) + "\n", encoding="utf-8")
    # Small, and every device that can run it can run the others.
    shutil.copy(out / next(spec["artifact"] for spec in specs if spec["small"]), out / "probe.peer")


def record_cases(build, arch, folder, chosen):
    """Runs the numeric tests, in the simulator, which write down the calls that they make."""
    print(f"recording calls of the numeric tests ({chosen})", flush=True)
    shards = os.cpu_count()
    tests = [subprocess.Popen([build / "bin/peer-numerics-tests", f"--gtest_filter={chosen}", "--gtest_brief=1"], stdout=subprocess.PIPE, text=True,
                              env={**os.environ, "PEER_TEST_RECORD": folder, "PEER_TEST_GPU": arch, "GTEST_TOTAL_SHARDS": str(shards),
                                   "GTEST_SHARD_INDEX": str(shard), "OMP_NUM_THREADS": "1"}) for shard in range(shards)]
    failed = sorted({line for test in tests for line in re.findall(r"^\[  FAILED  \] ([\w./]+)", test.communicate()[0], re.M)})
    cases = sorted(folder.glob("*.case"))
    if not cases:
        fail(f"no test recorded anything with the filter {chosen}")
    # The folder says the same of them, since what is expected comes from the references.
    for test in failed:
        print(f"gpu-check: warning: {test} fails in the simulator already", file=sys.stderr)
    print(f"packing {len(cases)} cases", flush=True)


def libraries(program):
    """What the loader finds for a program: pairs of name and path."""
    listed = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    found = re.findall(r"^\s*(\S+) => (/\S+)", listed, re.M)
    return found + [(os.path.basename(path), path) for path in re.findall(r"^\s*(/\S+) \(", listed, re.M)]


def copy_programs(build, out):
    """bin/ and lib/; the C library apart, since it is used with its own loader or not at all."""
    xz = shutil.which("xz") or fail("xz was not found: install xz-utils")
    programs = [build / "bin/peer-run", build / "bin/peer-gpu-check", pathlib.Path(xz)]
    for folder in ("bin", "lib/libc"):
        (out / folder).mkdir(parents=True)
    needed = {}
    for program in programs:
        target = out / "bin" / program.name
        shutil.copy(program, target)
        # Debug information of the runtime would be most of the folder; xz is stripped, and strip does nothing to it.
        subprocess.run(["strip", target], check=True)
        needed.update(libraries(program))
    # The runtime opens it by name.
    needed["libpeer_sim.so"] = str(build / "lib/libpeer_sim.so")
    # The driver's library loads these, which are empty in today's C library, and wants them of the version of the rest.
    libc = pathlib.Path(needed["libc.so.6"]).parent
    needed.update({name: str(libc / name) for name in ("libdl.so.2", "libpthread.so.0", "librt.so.1", "libutil.so.1")})
    for name, path in needed.items():
        target = out / ("lib/libc" if LIBC.match(name) else "lib") / name
        shutil.copy(os.path.realpath(path), target)
        if not LIBC.match(name):
            subprocess.run(["strip", "--strip-unneeded", target], check=True)


def make(arguments, build):
    out = arguments.out
    if out.exists():
        if not (out / DATA).exists() and any(out.iterdir()):
            fail(f"{out} exists and is not what this command makes; give another folder with --out")
        shutil.rmtree(out)
    out.mkdir(parents=True)
    copy_programs(build, out)
    shutil.copy(HERE / "run.sh", out / "run.sh")
    (out / "README.txt").write_text(README.format(arch=arguments.arch), encoding="utf-8")
    with tempfile.TemporaryDirectory(prefix="peer-gpu-check-") as name:
        folder = pathlib.Path(name)
        shutil.copy(HERE / "torch_side.py", folder)
        compile_benchmarks(build, arguments.arch, folder, [True] if arguments.quick else [False, True])
        record_cases(build, arguments.arch, folder, arguments.cases or (QUICK_CASES if arguments.quick else CASES))
        with tarfile.open(out / DATA, "w:xz", preset=9) as archive:
            for path in sorted(folder.iterdir(), key=lambda path: (path.suffix, path.name)):
                archive.add(path, path.name)
    size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    print(f"{out}: {size / 1e6:.1f} MB for {arguments.arch}", flush=True)
    if size > LIMIT:
        fail(f"the folder is larger than {LIMIT / 1e6:.0f} MB")


def main():
    parser = argparse.ArgumentParser(prog="./dev gpu-check", description=__doc__)
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("gpu-check"), metavar="DIR", help="where the folder goes (default: gpu-check); an old one there is replaced")
    parser.add_argument("--arch", default="sm_90", help="what kernels are compiled for (default: sm_90, for Hopper and newer; sm_80 for Ampere and newer)")
    parser.add_argument("--quick", action="store_true", help="few cases and small sizes alone: to try the folder itself")
    parser.add_argument("--cases", metavar="FILTER", help="GoogleTest's filter for the numeric tests that are recorded (default: all that test kernels)")
    parser.add_argument("--run", action="store_true", help="run the folder's run.sh, too; results go to the folder")
    parser.add_argument("--device", choices=["cuda", "sim"], default="cuda", help="what --run runs on")
    parser.add_argument("--small", action="store_true", help="--run measures small sizes, as the simulator needs")
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build", metavar="DIR", help="where the programs were built (default: build)")
    arguments = parser.parse_args()
    if not arguments.run and (arguments.small or arguments.device == "sim"):
        parser.error("--device and --small say what --run does, and want it")
    make(arguments, arguments.build)
    if not arguments.run:
        print(f"on a machine with a GPU: {arguments.out}/run.sh")
        return 0
    return subprocess.run([arguments.out / "run.sh", "--device", arguments.device, "--out", arguments.out, *(["--small"] if arguments.small else [])],
                          check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
