"""A process that runs the same layer in PyTorch, eager or compiled, as it is commonly written: gathers and einsums."""
import mmap
import pathlib
import statistics
import sys
import time

import torch
import torch.nn.functional as F

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import tensors  # noqa: E402


class Layer(torch.nn.Module):
    """Product-key routing and one-neuron experts in two embedding tables."""

    def __init__(self, width, heads, k, n, half, sparse=False):
        super().__init__()
        self.shape, self.k = (heads, 2, half), k
        self.query = torch.nn.Linear(width, heads * 2 * half, bias=False)
        self.keys = torch.nn.Parameter(torch.randn(heads, 2, n, half) * 0.02)
        self.down = torch.nn.Embedding.from_pretrained(torch.empty(n * n, width).normal_(0, 0.02), freeze=False, sparse=sparse)
        self.up = torch.nn.Embedding.from_pretrained(torch.empty(n * n, width).normal_(0, 0.02), freeze=False, sparse=sparse)

    def forward(self, x):
        query = self.query(x).unflatten(-1, self.shape)
        scores = torch.einsum("thpd,hpnd->thpn", query, self.keys)
        value, index = scores.topk(self.k, dim=-1)
        sums = (value[:, :, 0, :, None] + value[:, :, 1, None, :]).flatten(-2)
        pairs = (index[:, :, 0, :, None] * self.keys.shape[2] + index[:, :, 1, None, :]).flatten(-2)
        best, place = sums.topk(self.k, dim=-1)
        expert = pairs.gather(-1, place)
        hidden = torch.einsum("td,thkd->thk", x, self.down(expert))
        hidden = F.gelu(hidden) * best.softmax(dim=-1)
        return torch.einsum("thk,thkd->td", hidden, self.up(expert))


def read_safetensors(path):
    """Tensors of a file of f32; the file stays mapped, not read."""
    header, start = tensors.header(path)
    with open(path, "rb") as file:
        content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    return {name: torch.frombuffer(content, dtype=torch.float32, offset=start + entry["data_offsets"][0],
                                   count=(entry["data_offsets"][1] - entry["data_offsets"][0]) // 4).reshape(entry["shape"])
            for name, entry in header.items() if name != "__metadata__"}


class TorchSide:
    """The methods are called by name from another process (see workers.py)."""

    def __init__(self, width, optimizer=None, mode=None):
        """`mode`: one of torch.compile's, of which forward is timed then."""
        torch.manual_seed(1)
        self.layer = Layer(width, heads=8, k=16, n=1024, half=128, sparse=optimizer == "SparseAdam")
        tables = [self.layer.up.weight, self.layer.down.weight]
        dense = [self.layer.query.weight, self.layer.keys]
        self.called = self.layer if mode is None else torch.compile(self.layer, mode=mode, dynamic=False)
        if optimizer == "Adam":
            self.optimizers = [torch.optim.Adam(dense + tables, lr=1e-3)]
        elif optimizer == "SparseAdam":
            self.optimizers = [torch.optim.Adam(dense, lr=1e-3), torch.optim.SparseAdam(tables, lr=1e-3)]

    @staticmethod
    def version():
        return torch.__version__, torch.get_num_threads()

    @staticmethod
    def vectors():
        """The instructions that its own kernels use, such as AVX2."""
        return torch.backends.cpu.get_cpu_capability()

    def load(self, path):
        """Parameters as peer-run names and shapes them."""
        tensors = read_safetensors(path)
        with torch.no_grad():
            self.layer.query.weight.copy_(tensors["query.weight"].T)
            self.layer.keys.copy_(tensors["keys"])
            self.layer.down.weight.copy_(tensors["experts"][:, 0])
            self.layer.up.weight.copy_(tensors["experts"][:, 1])

    @staticmethod
    def _tensor(given):
        dtype, shape, data = given
        kind = {"f32": torch.float32, "i32": torch.int32}[dtype]
        return torch.frombuffer(bytearray(data), dtype=kind).reshape(shape)

    def forward(self, x):
        """Seconds of one call; keeps y."""
        x = self._tensor(x)
        start = time.perf_counter()
        with torch.no_grad():
            self.y = self.called(x)
        return time.perf_counter() - start

    def forwards(self, many):
        """The median of calls in a row."""
        return statistics.median(self.forward(x) for x in many)

    def output(self):
        return self.y.contiguous().numpy().tobytes()

    def gradients(self, x, targets):
        """Seconds of forward and backward alone; keeps the loss and the gradients of query and keys."""
        x, targets = self._tensor(x), self._tensor(targets).long()
        self.layer.zero_grad()
        start = time.perf_counter()
        loss = F.cross_entropy(self.layer(x), targets)
        loss.backward()
        seconds = time.perf_counter() - start
        self.loss = loss.item()
        return seconds

    def train(self, x, targets):
        """Seconds of one training step; keeps the loss."""
        x, targets = self._tensor(x), self._tensor(targets).long()
        start = time.perf_counter()
        for optimizer in self.optimizers:
            optimizer.zero_grad()
        loss = F.cross_entropy(self.layer(x), targets)
        loss.backward()
        for optimizer in self.optimizers:
            optimizer.step()
        seconds = time.perf_counter() - start
        self.loss = loss.item()
        return seconds

    def last_loss(self):
        return self.loss
