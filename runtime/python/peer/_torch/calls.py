"""Functions of artifacts called on tensors of torch, where these lie."""
import ctypes
import os
import threading

import torch

from .._compile import compile as compile_description
from .._library import CPU, CUDA, TRUST_INPUTS, Error, Options, View, check, library

DTYPES = {"f32": torch.float32, "f64": torch.float64, "bf16": torch.bfloat16, "f16": torch.float16, "i64": torch.int64,
          "i32": torch.int32, "i16": torch.int16, "i8": torch.int8, "f8_e4m3": torch.float8_e4m3fn}
# Of what a list of pairs consists, in an entry's `pairs` and in `Handle.pending`.
PAIRS = ("idx", "coef", "x", "dy")
NAMES = {dtype: name.encode() for name, dtype in DTYPES.items()}


DEVICES = ("cpu", "cuda")
# What kernels load at once.
_ALIGNED = 16


def refuse_others(tensor, what):
    if tensor.device.type not in (*DEVICES, "meta"):
        raise Error(f"{what} is on {tensor.device}, and modules compute on the CPU and on NVIDIA GPUs: move the model to one of these")


def view(tensor, what):
    """Its view, and what must outlive it."""
    refuse_others(tensor, what)
    if not tensor.is_contiguous():
        raise Error(f"{what} is not contiguous; use .contiguous()")
    shape = (ctypes.c_int64 * max(tensor.dim(), 1))(*tensor.shape)
    device = (CUDA, tensor.device.index) if tensor.device.type == "cuda" else (CPU, 0)
    return View(ctypes.sizeof(View), *device, NAMES[tensor.dtype], tensor.dim(), shape, None, tensor.data_ptr())


def _architecture(device):
    """Of a GPU, as targets spell it."""
    return "sm_{}{}".format(*torch.cuda.get_device_capability(device))


def _stream(device):
    """On which torch puts what it computes there: its handle in the driver's interface, where the default stream is 1."""
    return torch.cuda.current_stream(device).cuda_stream or 1


def capturing(device):
    """Whether torch records what is put on its stream there, as a CUDA graph."""
    return device.type == "cuda" and torch.cuda.is_current_stream_capturing()


class Functions:
    """An artifact for a device of torch's whose parameters and states are tensors of the caller's."""

    def __init__(self, text, device):
        self.device = device
        if device.type == "cuda":
            # The runtime computes on one GPU of a process: that of the first tensor, unless somebody has said which.
            os.environ.setdefault("PEER_CUDA_DEVICE", str(device.index))
            self.artifact = compile_description(text, _architecture(device), "cuda")
        else:
            self.artifact = compile_description(text)
        # Two OpenMP runtimes in one process: threads of ours that spin after a call would take the cores from torch's.
        if hasattr(library(), "kmp_set_blocktime"):
            library().kmp_set_blocktime(0)
        self.entries = {entry["name"]: entry for entry in self.artifact.manifest["entries"]}
        self._bound, self._lock = {}, threading.Lock()

    def bind(self, tensors):
        """Makes these tensors the parameters or states of their names, where they are not yet."""
        with self._lock:
            for name, tensor in tensors:
                known = self._bound.get(name)
                if known is not None and known.data_ptr() == tensor.data_ptr():
                    continue
                if tensor.dtype not in NAMES:
                    raise Error(f"{name} is {tensor.dtype}, expected torch.float32")
                described = view(tensor, name)
                check(library().peer_bind(self.artifact._opened(), name.encode(), ctypes.byref(described)))
                # What is bound must stay.
                self._bound[name] = tensor.detach()

    def given(self, entry):
        return [argument for argument in self.entries[entry]["arguments"] if argument["role"] in ("input", "scalar")]

    def results(self, entry):
        return [result for result in self.entries[entry]["results"] if "check" not in result]

    def empty_results(self, entry, tokens, like):
        return [like.new_empty([tokens if size == "T" else size for size in result["shape"]], dtype=DTYPES[result["dtype"]])
                for result in self.results(entry)]

    def run(self, entry, inputs, results):
        """`inputs` by name: tensors, or numbers for scalars. Writes to `results`."""
        held, views = [], []
        for argument in self.given(entry):
            value = inputs[argument["name"]]
            if not isinstance(value, torch.Tensor):
                value = torch.tensor(float(value), dtype=torch.float32)
            value = value.contiguous()
            if value.is_cuda and value.data_ptr() % _ALIGNED:
                value = value.clone()
            held.append(value)
            views.append(view(value, f"{entry}: {argument['name']}"))
        arguments = (View * max(len(views), 1))(*views)
        wanted = (View * max(len(results), 1))(*[view(result, entry) for result in results])
        # On a GPU nothing waits, and nobody looks at integers before they are used: whoever gives some has seen to their range.
        flags, stream = (TRUST_INPUTS, _stream(self.device)) if self.device.type == "cuda" else (0, None)
        options = Options(ctypes.sizeof(Options), flags, torch.get_num_threads(), stream)
        check(library().peer_run(self.artifact._opened(), entry.encode(), arguments, len(views), wanted, len(results), ctypes.byref(options)))
        return results
