# lit's configuration; lit.site.cfg.py.in adds what CMake knows.
import os
import shutil
import subprocess
import sys

import lit.formats

# Helpers that all tests share.
support = os.path.join(os.path.dirname(__file__), "support")
sys.path.insert(0, support)
sys.dont_write_bytecode = True
from pass_tests import PassTests  # noqa: E402

config.name = "peer"
config.test_format = lit.formats.ShTest(execute_external=True)
config.suffixes = [".mlir", ".test"]
config.excludes = ["unit", "bench", "inputs", "seeds", "support"]
config.test_source_root = os.path.dirname(__file__)
config.test_exec_root = os.path.join(config.build_dir, "test")

peer_opt = os.path.join(config.build_dir, "bin", "peer-opt")
if lit_config.params.get("roundtrip", "0") == "1":
    # The compiling form is not mlir-opt; only pass tests take the flag, and only they are worth a second run.
    config.substitutions.append(("%peer-pass", peer_opt + " --verify-roundtrip"))
    config.test_format = PassTests(execute_external=True)
else:
    config.substitutions.append(("%peer-pass", peer_opt))
config.substitutions.append(("%examples", os.path.join(config.source_dir, "examples")))
config.substitutions.append(("%source", config.source_dir))
config.substitutions.append(("%build", config.build_dir))
config.substitutions.append(("%python", config.python))

# The long tests (training to a loss, kill and resume, memory) run on request.
if lit_config.params.get("all", "0") == "1":
    config.available_features.add("all")
if config.sanitize:
    config.environment["ASAN_OPTIONS"] = os.environ.get("ASAN_OPTIONS", "")
    config.available_features.add("sanitize")

# Mounts of its own for one command, as a container has them.
if shutil.which("unshare") and subprocess.run(
        ["unshare", "-rm", "sh", "-c", "mount -t tmpfs x /mnt"], stderr=subprocess.DEVNULL).returncode == 0:
    config.available_features.add("unshare")

# What counts instructions, on a CPU that has those of x86-64-v3.
with open("/proc/cpuinfo", encoding="ascii", errors="replace") as cpuinfo:
    if " avx2 " in cpuinfo.read() and shutil.which("valgrind"):
        config.available_features.add("valgrind")

# NVIDIA's assembler of PTX, where peer-opt looks for it.
toolkits = [os.path.join(os.environ[name], "bin") for name in ("CUDA_PATH", "CUDA_HOME") if name in os.environ]
for name in ("CUDA_PATH", "CUDA_HOME"):
    if name in os.environ:
        config.environment[name] = os.environ[name]
if shutil.which("ptxas", path=os.pathsep.join(toolkits + [os.environ["PATH"], "/usr/local/cuda/bin"])):
    config.available_features.add("ptxas")

config.environment["PATH"] = os.pathsep.join(
    [os.path.join(config.build_dir, "bin"), config.llvm_tools_dir, os.environ["PATH"]])
config.environment["OMP_NUM_THREADS"] = "2"
# Helpers import each other and those that all tests share; the source tree stays clean.
config.environment["PYTHONPATH"] = support
config.environment["PYTHONDONTWRITEBYTECODE"] = "1"
