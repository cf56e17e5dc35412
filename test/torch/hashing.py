"""Meta's memory layer, written from what its paper (arXiv 2412.09764) and its parameters say."""
from conftest import torch


class Values(torch.nn.Module):
    """Rows of a table, summed by weights."""

    def __init__(self, count, width):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.randn(count, width))

    def forward(self, idx, w):
        return torch.nn.functional.embedding_bag(idx, self.weight.to(w.dtype), per_sample_weights=w, mode="sum")


class Queries(torch.nn.Module):
    def __init__(self, dim, width, bias, norm):
        super().__init__()
        self.query_mlps = torch.nn.Sequential(torch.nn.Linear(dim, width, bias=bias), *[torch.nn.BatchNorm1d(width)] * norm)


class HashingMemory(torch.nn.Module):
    def __init__(self, input_dim=16, output_dim=16, mem_k_dim=16, mem_v_dim=-1, mem_heads=2, mem_knn=4, mem_n_keys=8, mem_query_bias=True,
                 mem_query_batchnorm=False, mem_gated=False, mem_input_dropout=0.0, mem_query_dropout=0.0, mem_value_dropout=0.0, peer_variant=False,
                 swilu_projection=True, values=None):
        super().__init__()
        torch.manual_seed(5)
        self.input_dim, self.output_dim, self.k_dim, self.heads, self.knn = input_dim, output_dim, mem_k_dim, mem_heads, mem_knn
        self.size, self.v_dim, self.use_peer_variant = mem_n_keys**2, mem_v_dim if mem_v_dim > 0 else output_dim, peer_variant
        self.swilu_proj, self.v_proj = swilu_projection, mem_v_dim > 0 or swilu_projection
        self.input_dropout, self.query_dropout, self.value_dropout = mem_input_dropout, mem_query_dropout, mem_value_dropout
        self.keys = torch.nn.Parameter(torch.randn(2 * mem_heads * mem_n_keys, mem_k_dim // 2))
        if peer_variant:
            self.values_u, self.values_v = torch.nn.Embedding(self.size, output_dim), torch.nn.Embedding(self.size, output_dim)
        else:
            self.values = Values(self.size, self.v_dim) if values is None else values
            if self.values:
                self.values.weight.pk_value_param, self.values.weight.fixed_lr = True, 0.001
        if self.v_proj:
            self.value_proj = torch.nn.Linear(self.v_dim, output_dim)
        if swilu_projection:
            self.swilu_projection = torch.nn.Linear(input_dim, self.v_dim)
        self.gating = torch.nn.Linear(input_dim, 1) if mem_gated else None
        self.query_proj = Queries(input_dim, mem_heads * mem_k_dim, mem_query_bias, mem_query_batchnorm)

    def forward(self, given):
        x = given.flatten(0, -2)
        q = self.query_proj.query_mlps(x).view(len(x), self.heads, 2, self.k_dim // 2)
        keys = self.keys.view(self.heads, 2, -1, self.k_dim // 2)
        # All sums of two scores, and the best of them.
        first, second = torch.einsum("thpd,hpnd->phtn", q, keys)
        best, idx = (first[..., :, None] + second[..., None, :]).flatten(-2).topk(self.knn)
        w, idx = (each.transpose(0, 1).flatten(1) for each in (best.softmax(-1), idx))
        if self.use_peer_variant:
            y = torch.einsum("tk,tkd->td", w * torch.nn.functional.gelu(torch.einsum("td,tkd->tk", x, self.values_u(idx))), self.values_v(idx))
        else:
            y = self.values(idx, w)
            if self.swilu_proj:
                y = y * torch.nn.functional.silu(self.swilu_projection(x))
            if self.v_proj:
                y = self.value_proj(y)
        if self.gating is not None:
            y = self.gating(x).sigmoid() * y
        return y.view(given.shape)
