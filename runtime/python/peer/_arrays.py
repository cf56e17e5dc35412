"""Arrays of others as views of the C interface, and arrays for results. Nothing is copied."""
import ctypes
import functools
import importlib.util
import math

from ._library import CPU, CUDA, Error, View

BYTES = {"f64": 8, "f32": 4, "f16": 2, "bf16": 2, "i64": 8, "i32": 4, "i16": 2, "i8": 1, "f8_e4m3": 1}
# Of Python's struct module; a bf16 and an fp8 are shown as the integers of their bits.
CODES = {"f64": "d", "f32": "f", "f16": "e", "bf16": "H", "i64": "q", "i32": "i", "i16": "h", "i8": "b", "f8_e4m3": "B"}
DTYPES = {**{code: name for name, code in CODES.items() if name not in ("bf16", "f8_e4m3")}, "l": "i64"}
# DLPack's codes of integers, floats and bfloats.
DLPACK = {0: "i", 2: "f", 4: "bf"}


class _DLTensor(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), ("device_type", ctypes.c_int32), ("device_id", ctypes.c_int32), ("rank", ctypes.c_int32),
                ("code", ctypes.c_uint8), ("bits", ctypes.c_uint8), ("lanes", ctypes.c_uint16),
                ("shape", ctypes.POINTER(ctypes.c_int64)), ("strides", ctypes.POINTER(ctypes.c_int64)), ("byte_offset", ctypes.c_uint64)]


_pointer = ctypes.pythonapi.PyCapsule_GetPointer
_pointer.restype, _pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
_buffer = ctypes.pythonapi.PyObject_GetBuffer
_release = ctypes.pythonapi.PyBuffer_Release


class _PyBuffer(ctypes.Structure):
    _fields_ = [("buf", ctypes.c_void_p), ("obj", ctypes.c_void_p), ("len", ctypes.c_ssize_t), ("itemsize", ctypes.c_ssize_t),
                ("readonly", ctypes.c_int), ("ndim", ctypes.c_int), ("format", ctypes.c_char_p), ("shape", ctypes.POINTER(ctypes.c_ssize_t)),
                ("strides", ctypes.POINTER(ctypes.c_ssize_t)), ("suboffsets", ctypes.POINTER(ctypes.c_ssize_t)), ("internal", ctypes.c_void_p)]


_buffer.argtypes = [ctypes.py_object, ctypes.POINTER(_PyBuffer), ctypes.c_int]
_release.argtypes = [ctypes.POINTER(_PyBuffer)]
_WRITABLE, _STRIDED = 0x1, 0x18 | 0x4


class Borrowed:
    """The view of somebody's array, and what keeps it there."""

    def __init__(self, array, what, writes=False):
        self.what, self.held, self.buffer = what, array, None
        if hasattr(array, "__dlpack__") and not self._readonly(array):
            self._take_dlpack(array)
        else:
            self._take_buffer(array, writes)

    @staticmethod
    def _readonly(array):
        # numpy exports no read-only array by DLPack; its buffer will do.
        return not getattr(getattr(array, "flags", None), "writeable", True)

    def _make(self, dtype, shape, strides, data, device=(CPU, 0)):
        rank = len(shape)
        self.shape = tuple(shape)
        self.sizes = (ctypes.c_int64 * max(rank, 1))(*shape)
        self.steps = (ctypes.c_int64 * max(rank, 1))(*strides) if strides is not None else None
        self.view = View(ctypes.sizeof(View), device[0], device[1], dtype.encode(), rank, self.sizes, self.steps, data)

    def _take_dlpack(self, array):
        try:
            # The capsule owns the tensor as long as nobody takes it from there.
            self.capsule = array.__dlpack__()
        except Exception as error:  # Whatever the framework says, such as that a gradient is asked for.
            raise Error(f"{self.what} cannot be exported by DLPack: {error}") from None
        tensor = _DLTensor.from_address(_pointer(self.capsule, b"dltensor"))
        name = f"{DLPACK.get(tensor.code, '?')}{tensor.bits}"
        if name not in BYTES or tensor.lanes != 1:
            raise Error(f"{self.what} has elements of DLPack's type {tensor.code} with {tensor.bits} bits, which no function takes")
        strides = tensor.strides[:tensor.rank] if tensor.strides else None
        self._make(name, tensor.shape[:tensor.rank], strides, (tensor.data or 0) + tensor.byte_offset, (tensor.device_type, tensor.device_id))

    def _take_buffer(self, array, writes):
        self.buffer = _PyBuffer()
        try:
            status = _buffer(array, ctypes.byref(self.buffer), _STRIDED | (_WRITABLE if writes else 0))
        except (TypeError, BufferError) as error:
            self.buffer = None
            kind = type(array).__name__
            raise Error(f"{self.what} is no array that can be {'written' if writes else 'read'} in place ({kind}: {error})") from None
        assert status == 0
        found, code = self.buffer, (self.buffer.format or b"B").decode()
        if code.lstrip("@=<") not in DTYPES:
            raise Error(f"{self.what} has elements of the type '{code}', which no function takes")
        dtype = DTYPES[code.lstrip("@=<")]
        strides = [step // found.itemsize for step in found.strides[:found.ndim]]
        self._make(dtype, found.shape[:found.ndim], strides, found.buf)

    def __del__(self):
        if self.buffer is not None:
            _release(ctypes.byref(self.buffer))


class Owned:
    """Memory for a result or a scalar."""

    def __init__(self, dtype, shape):
        self.dtype, self.shape = dtype, tuple(shape)
        self.sizes = (ctypes.c_int64 * max(len(shape), 1))(*shape)
        self.bytes = BYTES[dtype] * math.prod(shape)
        # 64-byte aligned, as vector code likes it.
        self.memory = (ctypes.c_char * (self.bytes + 64))()
        self.offset = -ctypes.addressof(self.memory) % 64
        self.view = View(ctypes.sizeof(View), CPU, 0, dtype.encode(), len(shape), self.sizes, None, ctypes.addressof(self.memory) + self.offset)

    def array(self):
        """A numpy array of it, or a memoryview where there is no numpy."""
        return as_array(memoryview(self.memory).cast("B")[self.offset:self.offset + self.bytes], self.dtype, self.shape)


@functools.cache
def _numpy():
    """The module, None where there is none: looked for once, not at each result."""
    return importlib.import_module("numpy") if importlib.util.find_spec("numpy") else None


def as_array(raw, dtype, shape):
    """Bytes as a numpy array, or a memoryview where there is no numpy."""
    if numpy := _numpy():
        return numpy.ndarray(shape, numpy.dtype(CODES[dtype]), buffer=raw)
    if 0 in shape:
        # A memoryview has no shape without elements.
        return raw.cast(CODES[dtype])
    return raw.cast(CODES[dtype], shape)


def seen(view, owner):
    """The array of memory of the library's, which `owner` keeps open."""
    if view.device_type == CUDA:
        raise Error("memory of a GPU cannot be shown as an array of the host")
    dtype, shape = view.dtype.decode(), view.shape[:view.rank]
    memory = (ctypes.c_char * (BYTES[dtype] * math.prod(shape))).from_address(view.data)
    memory.owner = owner
    return as_array(memoryview(memory).cast("B"), dtype, tuple(shape))
