"""A process that runs compiled models through the C interface of libpeer_runtime.so."""
import array
import ctypes
import pathlib
import statistics
import subprocess
import time

import reference

CTYPES = {"f32": (ctypes.c_float, "f"), "i32": (ctypes.c_int32, "i")}


class _Tensor(ctypes.Structure):
    _fields_ = [("dtype", ctypes.c_char_p), ("rank", ctypes.c_size_t), ("shape", ctypes.POINTER(ctypes.c_int64)),
                ("data", ctypes.c_void_p), ("bytes", ctypes.c_size_t)]


class PeerSide:
    """One artifact; the methods are called by name from another process (see workers.py)."""

    def __init__(self, build, artifact, seed=1):
        self.build = pathlib.Path(build)
        self.library = ctypes.CDLL(str(self.build / "lib" / "libpeer_runtime.so"))
        self.library.peer_last_error.restype = ctypes.c_char_p
        self.handle = ctypes.c_void_p()
        self._check(self.library.peer_open(str(artifact).encode(), ctypes.byref(self.handle)))
        self._check(self.library.peer_init_parameters(self.handle, ctypes.c_uint64(seed)))

    def _check(self, status):
        if status != 0:
            raise RuntimeError(self.library.peer_last_error().decode())

    def save(self, path):
        """Parameters to a safetensors file."""
        self._check(self.library.peer_save_parameters(self.handle, str(path).encode()))

    def run(self, entry, inputs):
        """Seconds of one call. Inputs: name -> (dtype, shape, bytes)."""
        for name, (dtype, shape, data) in inputs.items():
            sizes = (ctypes.c_int64 * len(shape))(*shape)
            buffer = ctypes.create_string_buffer(data, len(data))
            tensor = _Tensor(dtype.encode(), len(shape), sizes, ctypes.cast(buffer, ctypes.c_void_p), len(data))
            self._check(self.library.peer_set_input(self.handle, name.encode(), ctypes.byref(tensor)))
        start = time.perf_counter()
        status = self.library.peer_call(self.handle, entry.encode())
        seconds = time.perf_counter() - start
        self._check(status)
        return seconds

    def runs(self, entry, many):
        """The median of calls in a row, each on inputs of its own."""
        return statistics.median(self.run(entry, inputs) for inputs in many)

    def output(self, name):
        """Bytes of a result of the last call."""
        view = _Tensor()
        self._check(self.library.peer_output(self.handle, name.encode(), ctypes.byref(view)))
        return ctypes.string_at(view.data, view.bytes)

    def _parameter(self, name):
        view = _Tensor()
        self._check(self.library.peer_parameter(self.handle, name.encode(), ctypes.byref(view)))
        kind, _ = CTYPES[view.dtype.decode()]
        shape = [view.shape[i] for i in range(view.rank)]
        return ctypes.cast(view.data, ctypes.POINTER(kind)), shape

    def expected(self, x):
        """What the reference computes for one token."""
        return reference.layer(list(x), *(self._parameter(name) for name in ("query.weight", "keys", "experts")), k=16)

    def gather(self, rows):
        """Seconds that the hand-written gather takes for these rows of the expert table."""
        if not hasattr(self, "gather_function"):
            path = self.build / "bench" / "gather.so"
            path.parent.mkdir(exist_ok=True)
            subprocess.run(["/usr/lib/llvm-22/bin/clang", "-O3", "-march=native", "-fopenmp", "-shared", "-fPIC",
                            str(pathlib.Path(__file__).with_name("gather.c")), "-o", str(path)], check=True)
            self.gather_function = ctypes.CDLL(str(path)).gather
            self.gather_function.restype = ctypes.c_float
        table, shape = self._parameter("experts")
        indices = array.array("i", rows)
        pointer = (ctypes.c_int32 * len(indices)).from_buffer(indices)
        start = time.perf_counter()
        self.gather_function(table, pointer, ctypes.c_int64(len(indices)), ctypes.c_int64(shape[1] * shape[2]))
        return time.perf_counter() - start
