"""A process that runs compiled models through the C interface of libpeer_runtime.so."""
import array
import ctypes
import pathlib
import statistics
import subprocess
import sys
import time

import reference

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
from peer_api import CTYPES, Model, views  # noqa: E402


def gather_library(build):
    """The functions of gather.c."""
    path = build / "bench" / "gather.so"
    path.parent.mkdir(exist_ok=True)
    subprocess.run(["/usr/lib/llvm-22/bin/clang", "-O3", "-march=native", "-fopenmp", "-shared", "-fPIC",
                    str(pathlib.Path(__file__).with_name("gather.c")), "-o", str(path)], check=True)
    library = ctypes.CDLL(str(path))
    library.gather.restype = library.stream.restype = ctypes.c_float
    return library


class PeerSide:
    """One artifact; the methods are called by name from another process (see workers.py)."""

    def __init__(self, build, artifact, seed=1):
        self.build = pathlib.Path(build)
        self.model = Model(str(self.build / "lib" / "libpeer_runtime.so"), str(artifact))
        self.model.init(seed)

    def save(self, path):
        """Parameters to a safetensors file."""
        self.model.save(str(path))

    def run(self, entry, inputs):
        """Seconds of one call. Inputs: name -> (dtype, shape, bytes)."""
        arguments, tokens = self.model.arguments(entry, inputs, {})
        self.results = self.model.results(entry, tokens)
        self.entry = entry
        given, wanted = views(arguments), views(self.results)
        start = time.perf_counter()
        status = self.model.run_views(entry, given, len(arguments), wanted, len(self.results))
        seconds = time.perf_counter() - start
        self.model.check(status)
        return seconds

    def runs(self, entry, many):
        """The median of calls in a row, each on inputs of its own."""
        return statistics.median(self.run(entry, inputs) for inputs in many)

    def output(self, name):
        """Bytes of a result of the last call."""
        names = [result["name"] for result in self.model.entries[self.entry]["results"] if "check" not in result]
        return self.results[names.index(name)].raw()

    def _parameter(self, name):
        view = self.model.tensor(name)
        shape = [view.shape[i] for i in range(view.rank)]
        return ctypes.cast(view.data, ctypes.POINTER(CTYPES[view.dtype.decode()])), shape

    def expected(self, x):
        """What the reference computes for one token."""
        return reference.layer(list(x), *(self._parameter(name) for name in ("query.weight", "keys", "experts")), k=16)

    def gather(self, rows):
        """Seconds that the hand-written gather takes for these rows of the expert table."""
        if not hasattr(self, "gather_function"):
            self.gather_function = gather_library(self.build).gather
        table, shape = self._parameter("experts")
        indices = array.array("i", rows)
        pointer = (ctypes.c_int32 * len(indices)).from_buffer(indices)
        start = time.perf_counter()
        self.gather_function(table, pointer, ctypes.c_int64(len(indices)), ctypes.c_int64(shape[1] * shape[2]))
        return time.perf_counter() - start
