"""Tensors that say they are on a GPU: they lie in memory of the driver made for tests, and torch's own ops see that as the host's.

What torch does between layers is computed at once, after what the layers have put on the stream. To torch's dispatcher they are tensors of the CPU, since
it asks the real driver about others.
"""
import contextlib
import ctypes
import os
import pathlib
from unittest import mock

import torch
from torch.utils._pytree import tree_map

from peer._arrays import _DLTensor
from peer._library import CUDA
from peer._torch import calls, ops

DRIVER = pathlib.Path(os.environ["PEER_OPT"]).resolve().parents[1] / "lib/fake-cuda/libcuda.so.1"


class Gpu(torch.Tensor):
    """A tensor of the GPU; `host` is the same memory as the host's tensor."""
    device = property(lambda self: torch.device("cuda", 0))
    is_cuda = True

    @staticmethod
    def __new__(cls, host, block):
        made = torch.Tensor._make_wrapper_subclass(cls, host.shape, strides=host.stride(), storage_offset=host.storage_offset(), dtype=host.dtype, device="cpu")
        made.host, made.block = host, block
        return made

    def data_ptr(self):
        address, at = self.block
        return address + self.host.data_ptr() - at

    def __repr__(self):
        return f"Gpu({self.host})"

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func.namespace == "peer":
            return getattr(ops, f"_{func._schema.name.split('::')[1]}")(*args, **kwargs)
        _driver().wait()
        given = {}

        def shown(value):
            if isinstance(value, Gpu):
                given[id(value.host)] = value
                return value.host
            return torch.device("cpu") if isinstance(value, torch.device) else value

        def kept(value):
            if not isinstance(value, torch.Tensor):
                return value
            if id(value) in given:
                return given[id(value)]
            for each in given.values():
                storage = each.host.untyped_storage()
                if value.untyped_storage().data_ptr() == storage.data_ptr() and storage.nbytes():
                    return Gpu(value, each.block)
            return to_gpu(value)
        return tree_map(kept, func(*tree_map(shown, args), **tree_map(shown, kwargs)))


class _Driver:
    def __init__(self):
        self.library = ctypes.CDLL(str(DRIVER))
        self.library.fakeCudaMemory.restype, self.library.fakeCudaMemory.argtypes = ctypes.c_void_p, [ctypes.c_uint64, ctypes.c_uint64, ctypes.c_int]
        self.context, self.stream = ctypes.c_void_p(), ctypes.c_void_p()
        self.call("cuInit", 0)
        self.call("cuDevicePrimaryCtxRetain", ctypes.byref(self.context), 0)
        self.call("cuCtxSetCurrent", self.context)
        self.call("cuStreamCreate", ctypes.byref(self.stream), 1)

    def call(self, name, *arguments):
        assert getattr(self.library, name)(*arguments) == 0, name

    def wait(self):
        self.call("cuCtxSetCurrent", self.context)
        self.call("cuStreamSynchronize", self.stream)

    def allocate(self, size):
        """The address of so many bytes, and where the host sees them."""
        address = ctypes.c_uint64()
        self.call("cuCtxSetCurrent", self.context)
        self.call("cuMemAlloc_v2", ctypes.byref(address), ctypes.c_size_t(max(size, 1)))
        return address.value, self.library.fakeCudaMemory(address, max(size, 1), 1)


_known = []


def _driver():
    if not _known:
        _known.append(_Driver())
    return _known[0]


def to_gpu(tensor):
    """A copy there."""
    tensor = tensor.detach().contiguous()
    size = tensor.numel() * tensor.element_size()
    block = _driver().allocate(size)
    # The driver keeps the memory; nothing here frees it.
    memory = torch.frombuffer((ctypes.c_char * max(size, 1)).from_address(block[1]), dtype=torch.uint8)
    ctypes.memmove(block[1], tensor.data_ptr(), size)
    return Gpu(memory[:size].view(tensor.dtype).view(tensor.shape), block)


def module_to_gpu(model):
    """Its parameters there, in place."""
    moved = {}
    for module in model.modules():
        for name, parameter in list(module._parameters.items()):
            if parameter is not None:
                if id(parameter) not in moved:
                    moved[id(parameter)] = torch.nn.Parameter(to_gpu(parameter), requires_grad=parameter.requires_grad)
                module._parameters[name] = moved[id(parameter)]
    return model


_capsule = ctypes.pythonapi.PyCapsule_New
_capsule.restype, _capsule.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]


class Exporting:
    """A tensor of the GPU as other frameworks give theirs: by DLPack, f32."""

    def __init__(self, tensor):
        self.tensor, rank = tensor, tensor.dim()
        self.sizes = (ctypes.c_int64 * rank)(*tensor.shape)
        self.described = _DLTensor(tensor.data_ptr(), CUDA, 0, rank, 2, 32, 1, self.sizes, None, 0)

    def __dlpack__(self, **asked):
        return _capsule(ctypes.addressof(self.described), b"dltensor", None)


class _Made(torch.overrides.TorchFunctionMode):
    """What is made on the GPU of nothing: torch.zeros(..., device=...)."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        if getattr(kwargs.get("device"), "type", None) != "cuda" or any(isinstance(each, torch.Tensor) for each in args):
            return func(*args, **kwargs)
        return to_gpu(func(*args, **{**kwargs, "device": "cpu"}))


@contextlib.contextmanager
def gpu():
    """While it lasts, the driver made for tests is there, and what would ask torch's own about GPUs asks it."""
    names = {"PEER_CUDA_LIBRARY": str(DRIVER), "PEER_CUBLASLT_LIBRARY": "", "PEER_CUDA_DEVICE": "0"}
    asked = {"_architecture": lambda device: "sm_90", "_stream": lambda device: _driver().stream.value, "capturing": lambda device: False}
    with mock.patch.dict(os.environ, names), mock.patch.multiple(calls, **asked), _Made():
        yield
