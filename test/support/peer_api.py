"""libpeer_runtime.so through its C interface (runtime/session/peer_runtime.h), as another program would use it."""
import array
import ctypes


class TensorView(ctypes.Structure):
    _fields_ = [("dtype", ctypes.c_char_p), ("rank", ctypes.c_size_t), ("shape", ctypes.POINTER(ctypes.c_int64)),
                ("data", ctypes.c_void_p), ("bytes", ctypes.c_size_t)]


class Model:
    def __init__(self, library, path, weights=None, device=""):
        self.lib = ctypes.CDLL(library)
        self.lib.peer_last_error.restype = ctypes.c_char_p
        self.lib.peer_set_scalar.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_double]
        self.handle = ctypes.c_void_p()
        self.check(self.lib.peer_open_on(path.encode(), device.encode(), ctypes.byref(self.handle)))
        if weights is not None:
            self.check(self.lib.peer_load_parameters(self.handle, weights.encode()))

    def check(self, status):
        if status != 0:
            raise RuntimeError(self.lib.peer_last_error().decode())

    def logits(self, entry, tokens, position=None):
        """Calls a language model's entry; returns one list of logits per token. States live on between calls."""
        values = array.array("i", tokens)
        shape = (ctypes.c_int64 * 1)(len(values))
        address, length = values.buffer_info()
        view = TensorView(b"i32", 1, shape, address, length * values.itemsize)
        self.lib.peer_clear_inputs(self.handle)
        self.check(self.lib.peer_set_input(self.handle, b"tokens", ctypes.byref(view)))
        if position is not None:
            self.check(self.lib.peer_set_scalar(self.handle, b"position", float(position)))
        self.check(self.lib.peer_call(self.handle, entry.encode()))
        self.check(self.lib.peer_output(self.handle, b"logits", ctypes.byref(view)))
        flat = array.array("f", ctypes.string_at(view.data, view.bytes))
        width = view.shape[1]
        return [list(flat[i:i + width]) for i in range(0, len(flat), width)]

    def init(self, seed):
        self.lib.peer_init_parameters.argtypes = [ctypes.c_void_p, ctypes.c_uint64]
        self.check(self.lib.peer_init_parameters(self.handle, seed))

    def save(self, path):
        self.check(self.lib.peer_save_parameters(self.handle, path.encode()))

    def set_input(self, name, dtype, shape, data):
        buffer = ctypes.create_string_buffer(data, max(len(data), 1))
        view = TensorView(dtype.encode(), len(shape), (ctypes.c_int64 * len(shape))(*shape), ctypes.addressof(buffer), len(data))
        self.check(self.lib.peer_set_input(self.handle, name.encode(), ctypes.byref(view)))

    def output(self, name):
        """A result of the last call, where it lies: valid until the next one."""
        view = TensorView()
        self.check(self.lib.peer_output(self.handle, name.encode(), ctypes.byref(view)))
        return view

    def parameter(self, name):
        """A parameter, where it lies."""
        view = TensorView()
        self.check(self.lib.peer_parameter(self.handle, name.encode(), ctypes.byref(view)))
        return view

    def call(self, entry, inputs, scalars, outputs):
        """Calls an entry on {name: (dtype, shape, bytes)} and {name: number}; returns such tensors for the names in `outputs`."""
        self.lib.peer_clear_inputs(self.handle)
        for name, tensor in inputs.items():
            self.set_input(name, *tensor)
        for name, value in scalars.items():
            self.check(self.lib.peer_set_scalar(self.handle, name.encode(), float(value)))
        self.check(self.lib.peer_call(self.handle, entry.encode()))
        results = {}
        for name in outputs:
            view = self.output(name)
            results[name] = (view.dtype.decode(), [view.shape[i] for i in range(view.rank)], ctypes.string_at(view.data, view.bytes))
        return results
