"""libpeer_runtime.so through its C interface (runtime/session/peer_runtime.h), as another program would use it."""
import ctypes
import json

CPU = 1
TRUST_INPUTS = 1
CTYPES = {"f64": ctypes.c_double, "f32": ctypes.c_float, "i64": ctypes.c_int64, "i32": ctypes.c_int32, "i16": ctypes.c_int16, "i8": ctypes.c_int8}
BYTES = {"f64": 8, "f32": 4, "f16": 2, "bf16": 2, "i64": 8, "i32": 4, "i16": 2, "i8": 1, "f8_e4m3": 1}


class View(ctypes.Structure):
    """peer_view. Made by `Tensor`, or filled by the library."""
    _fields_ = [("size", ctypes.c_uint32), ("device_type", ctypes.c_int32), ("device_id", ctypes.c_int32), ("dtype", ctypes.c_char_p),
                ("rank", ctypes.c_size_t), ("shape", ctypes.POINTER(ctypes.c_int64)), ("strides", ctypes.POINTER(ctypes.c_int64)),
                ("data", ctypes.c_void_p)]


class Options(ctypes.Structure):
    """peer_options."""
    _fields_ = [("size", ctypes.c_uint32), ("flags", ctypes.c_uint32), ("threads", ctypes.c_int32), ("stream", ctypes.c_void_p)]

    def __init__(self, flags=0, threads=0, stream=None):
        super().__init__(ctypes.sizeof(type(self)), flags, threads, stream)


class Tensor:
    """Memory of this program's, zero where no bytes are given."""

    def __init__(self, dtype, shape, data=b""):
        self.dtype, self.shape = dtype, list(shape)
        self.bytes = BYTES[dtype]
        for size in shape:
            self.bytes *= size
        if data and len(data) != self.bytes:
            raise ValueError(f"{dtype} {self.shape} takes {self.bytes} bytes, {len(data)} were given")
        self.memory = ctypes.create_string_buffer(bytes(data), max(self.bytes, 1))
        self.sizes = (ctypes.c_int64 * max(len(shape), 1))(*shape)

    def view(self):
        return View(ctypes.sizeof(View), CPU, 0, self.dtype.encode(), len(self.shape), self.sizes, None, ctypes.addressof(self.memory))

    def raw(self):
        return self.memory.raw[:self.bytes]


def views(tensors):
    return (View * max(len(tensors), 1))(*[tensor.view() for tensor in tensors])


class Model:
    """One artifact. The methods `run` and `bind` are the library's; the others say what tests say often."""

    def __init__(self, library, path, weights=None, device=""):
        self.lib = ctypes.CDLL(library)
        self.lib.peer_last_error.restype = ctypes.c_char_p
        self.lib.peer_close.argtypes = [ctypes.c_void_p]
        self.handle, self.bound = ctypes.c_void_p(), {}
        self.check(self.lib.peer_open_on(path.encode(), device.encode(), ctypes.byref(self.handle)))
        text, length = ctypes.c_char_p(), ctypes.c_size_t()
        self.check(self.lib.peer_manifest(self.handle, ctypes.byref(text), ctypes.byref(length)))
        self.manifest = json.loads(ctypes.string_at(text, length.value))
        self.entries = {entry["name"]: entry for entry in self.manifest["entries"]}
        if weights is not None:
            self.check(self.lib.peer_load_parameters(self.handle, weights.encode()))

    def close(self):
        self.lib.peer_close(self.handle)
        self.handle = None

    def check(self, status):
        if status != 0:
            raise RuntimeError(self.lib.peer_last_error().decode())

    def init(self, seed):
        self.check(self.lib.peer_init_parameters(self.handle, ctypes.c_uint64(seed)))

    def save(self, path):
        self.check(self.lib.peer_save_parameters(self.handle, path.encode()))

    def bind(self, name, tensor):
        """Makes a Tensor the parameter, "state:NAME" or "usage:NAME"; None: the library's own memory again."""
        self.check(self.lib.peer_bind(self.handle, name.encode(), ctypes.byref(tensor.view()) if tensor else None))
        self.bound[name] = tensor

    def tensor(self, name):
        """The View of where a parameter, "state:NAME" or "usage:NAME" lies."""
        view = View()
        self.check(self.lib.peer_tensor(self.handle, name.encode(), ctypes.byref(view)))
        return view

    def results(self, entry, tokens):
        """Memory for the results of an entry."""
        return [Tensor(result["dtype"], [tokens if size == "T" else size for size in result["shape"]])
                for result in self.entries[entry]["results"] if "check" not in result]

    def run(self, entry, arguments, results, options=None):
        """Calls an entry on Tensors in the manifest's order."""
        self.check(self.run_views(entry, views(arguments), len(arguments), views(results), len(results), options))

    def run_views(self, entry, arguments, count, results, result_count, options=None):
        """The call alone, on arrays of View."""
        return self.lib.peer_run(self.handle, entry.encode(), arguments, ctypes.c_size_t(count), results, ctypes.c_size_t(result_count),
                                 ctypes.byref(options) if options else None)

    def arguments(self, entry, inputs, scalars):
        """Tensors in the manifest's order, and T, of {name: (dtype, shape, bytes)} and {name: number}. Scalars that are not given are what the
        description says: rates of its groups, step 1, position 0."""
        found, tokens = [], 0
        rates = {f"learning_rate.{group['name']}": group["learning_rate"] for group in self.manifest["groups"]}
        known = {"step": 1, **rates, **scalars}
        for argument in self.entries[entry]["arguments"]:
            if argument["role"] == "scalar":
                value = CTYPES[argument["dtype"]](known.get(argument["name"], 0))
                found.append(Tensor(argument["dtype"], [], bytes(value)))
            elif argument["role"] == "input":
                found.append(Tensor(*inputs[argument["name"]]))
                for size, is_size in zip(argument["shape"], found[-1].shape):
                    tokens = is_size if size == "T" else tokens
        return found, tokens

    def call(self, entry, inputs, scalars, outputs):
        """Calls an entry; returns (dtype, shape, bytes) by name for the results in `outputs`."""
        arguments, tokens = self.arguments(entry, inputs, scalars)
        results = self.results(entry, tokens)
        self.run(entry, arguments, results)
        names = [result["name"] for result in self.entries[entry]["results"] if "check" not in result]
        return {name: (tensor.dtype, tensor.shape, tensor.raw()) for name, tensor in zip(names, results) if name in outputs}

    def logits(self, entry, tokens, position=None):
        """Calls a language model's entry; returns one list of logits per token. States live on between calls."""
        values = (ctypes.c_int32 * len(tokens))(*tokens)
        scalars = {} if position is None else {"position": position}
        _, shape, data = self.call(entry, {"tokens": ("i32", [len(tokens)], bytes(values))}, scalars, ["logits"])["logits"]
        flat = (ctypes.c_float * (len(data) // 4)).from_buffer_copy(data)
        return [list(flat[i:i + shape[1]]) for i in range(0, len(flat), shape[1])]
