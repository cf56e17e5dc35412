"""Decoders of several makes, small, for the tests of peer.export."""
import math

from conftest import torch

import peer

F, nn = torch.nn.functional, torch.nn


class CausalAttention(nn.Module):
    """One matrix for queries, keys and values, as in GPT-2; with torch's attention or products of its own."""

    def __init__(self, width, heads, context, fused, bias=True, dropout=0.1):
        super().__init__()
        self.c_attn, self.c_proj = nn.Linear(width, 3 * width, bias=bias), nn.Linear(width, width, bias=bias)
        self.heads, self.fused, self.dropout = heads, fused, nn.Dropout(dropout)
        self.register_buffer("mask", torch.ones(context, context).tril().view(1, 1, context, context))

    def forward(self, x):
        batch, tokens, width = x.shape
        q, k, v = (each.view(batch, tokens, self.heads, width // self.heads).transpose(1, 2) for each in self.c_attn(x).split(width, dim=2))
        if self.fused:
            y = F.scaled_dot_product_attention(q, k, v, dropout_p=self.dropout.p if self.training else 0, is_causal=True)
        else:
            scores = (q @ k.transpose(-2, -1)) * (1.0 / math.sqrt(k.size(-1)))
            scores = scores.masked_fill(self.mask[:, :, :tokens, :tokens] == 0, float("-inf"))
            y = self.dropout(F.softmax(scores, dim=-1)) @ v
        return self.dropout(self.c_proj(y.transpose(1, 2).contiguous().view(batch, tokens, width)))


class Feedforward(nn.Module):
    def __init__(self, width, bias=True):
        super().__init__()
        self.up, self.gelu, self.down = nn.Linear(width, 2 * width, bias=bias), nn.GELU(), nn.Linear(2 * width, width, bias=bias)

    def forward(self, x):
        return self.down(self.gelu(self.up(x)))


class Block(nn.Module):
    def __init__(self, width, heads, context, fused, ffw, bias):
        super().__init__()
        self.ln_1, self.attn = nn.LayerNorm(width, bias=bias), CausalAttention(width, heads, context, fused, bias)
        self.ln_2, self.ffw = nn.LayerNorm(width, bias=bias), ffw

    def forward(self, x):
        x = x + self.attn(self.ln_1(x))
        return x + self.ffw(self.ln_2(x))


class NanoGPT(nn.Module):
    """Learned positions, layer norms, a head that is the embedding's table; the logits of the last token alone where there are no targets."""

    def __init__(self, ffw=None, vocabulary=65, width=32, heads=4, context=16, fused=True, bias=True):
        super().__init__()
        torch.manual_seed(3)
        self.wte, self.wpe, self.drop = nn.Embedding(vocabulary, width), nn.Embedding(context, width), nn.Dropout(0.1)
        layers = [Feedforward(width, bias), ffw(width) if ffw else Feedforward(width, bias)]
        self.h = nn.ModuleList(Block(width, heads, context, fused, each, bias) for each in layers)
        self.ln_f, self.lm_head = nn.LayerNorm(width, bias=bias), nn.Linear(width, vocabulary, bias=False)
        self.lm_head.weight = self.wte.weight
        for parameter in self.parameters():
            if parameter.dim() == 2 and not isinstance(parameter, peer.PEER):
                nn.init.normal_(parameter, std=0.1)

    def forward(self, tokens, targets=None):
        positions = torch.arange(0, tokens.size(1), dtype=torch.long, device=tokens.device)
        x = self.drop(self.wte(tokens) + self.wpe(positions))
        for block in self.h:
            x = block(x)
        x = self.ln_f(x)
        if targets is None:
            return self.lm_head(x[:, [-1], :]), None
        logits = self.lm_head(x)
        return logits, F.cross_entropy(logits.view(-1, logits.size(-1)), targets.view(-1))


class RMSNorm(nn.Module):
    """Written out, as many are."""

    def __init__(self, width):
        super().__init__()
        self.weight = nn.Parameter(torch.rand(width) + 0.5)

    def forward(self, x):
        given = x.dtype
        x = x.to(torch.float32)
        return self.weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6)).to(given)


def halves(x):
    first, second = x[..., :x.shape[-1] // 2], x[..., x.shape[-1] // 2:]
    return torch.cat((-second, first), dim=-1)


class Llama(nn.Module):
    """Rotary positions of `kind`, keys and values of fewer heads, norms of queries and keys, SwiGLU."""

    def __init__(self, vocabulary=65, width=32, heads=4, groups=2, context=16, kind="halves", base=10000.0):
        super().__init__()
        torch.manual_seed(4)
        self.heads, self.groups, self.kind, self.size = heads, groups, kind, width // heads
        self.embed, self.head = nn.Embedding(vocabulary, width), nn.Linear(width, vocabulary, bias=False)
        self.q, self.k, self.v = (nn.Linear(width, count * self.size, bias=False) for count in (heads, groups, groups))
        self.o, self.norm, self.q_norm, self.k_norm = nn.Linear(width, width, bias=False), RMSNorm(width), nn.RMSNorm(self.size), RMSNorm(self.size)
        self.gate, self.up, self.down = nn.Linear(width, 48, bias=False), nn.Linear(width, 48, bias=False), nn.Linear(48, width, bias=False)
        self.register_buffer("frequencies", base ** (-torch.arange(0, self.size, 2).float() / self.size), persistent=False)
        nn.init.normal_(self.embed.weight, std=0.5)

    def turned(self, x, positions):
        angles = positions[:, None].float() * self.frequencies[None]
        if self.kind == "halves":
            cos, sin = (torch.cat((each, each), -1)[None, None] for each in (angles.cos(), angles.sin()))
            return x * cos + halves(x) * sin
        cos, sin = angles.cos()[None, None], angles.sin()[None, None]
        if self.kind == "backwards":
            first, second = x.chunk(2, dim=-1)
            return torch.cat([first * cos + second * sin, first * (-sin) + second * cos], -1)
        # Neighbours turn together.
        even, odd = x[..., ::2], x[..., 1::2]
        return torch.stack((even * cos - odd * sin, even * sin + odd * cos), dim=-1).flatten(-2)

    def forward(self, tokens):
        batch, count = tokens.shape
        x = self.embed(tokens)
        n, positions = self.norm(x), torch.arange(count)
        q = self.turned(self.q_norm(self.q(n).view(batch, count, self.heads, -1)).transpose(1, 2), positions)
        k = self.turned(self.k_norm(self.k(n).view(batch, count, self.groups, -1)).transpose(1, 2), positions)
        v = self.v(n).view(batch, count, self.groups, -1).transpose(1, 2)
        k, v = (each[:, :, None].expand(batch, self.groups, self.heads // self.groups, count, self.size).reshape(batch, self.heads, count, self.size) for each in (k, v))
        mask = torch.full((count, count), torch.finfo(torch.float32).min).triu(1)
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        x = x + self.o(y.transpose(1, 2).reshape(batch, count, -1))
        n = self.norm(x)
        return self.head(x + self.down(F.silu(self.gate(n)) * self.up(n)))
