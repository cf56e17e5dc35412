#!/usr/bin/env python3
"""A process that trains a decoder of torch with one layer of very many experts; prints seconds of steps, losses and memory as JSON. step.py calls it."""
import argparse
import json
import pathlib
import re
import time

import PEER_pytorch
import torch

import peer

SIDES = ("Adam", "SparseAdam", "compile", "replaced")


class Attention(torch.nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads, self.qkv, self.out = heads, torch.nn.Linear(width, 3 * width), torch.nn.Linear(width, width)

    def forward(self, x):
        q, k, v = (each.unflatten(-1, (self.heads, -1)).transpose(1, 2) for each in self.qkv(x).chunk(3, -1))
        return self.out(torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(2))


class Decoder(torch.nn.Module):
    """Four blocks; the third has the experts in the place of its dense layer."""

    def __init__(self, experts, width, vocabulary=256):
        super().__init__()
        self.embed, self.head = torch.nn.Embedding(vocabulary, width), torch.nn.Linear(width, vocabulary)
        self.attention = torch.nn.ModuleList(Attention(width, 4) for _ in range(4))
        dense = [torch.nn.Sequential(torch.nn.Linear(width, 4 * width), torch.nn.GELU(), torch.nn.Linear(4 * width, width)) for _ in range(3)]
        layer = PEER_pytorch.PEER(width, heads=8, num_experts=experts, num_experts_per_head=16, dim_key=width // 2, non_competing_scores=False)
        for table in (layer.weight_down_embed, layer.weight_up_embed):
            torch.nn.init.normal_(table.weight, std=0.02)
        self.ffw = torch.nn.ModuleList([*dense[:2], layer, dense[2]])
        self.norms = torch.nn.ModuleList(torch.nn.LayerNorm(width) for _ in range(9))

    def forward(self, tokens):
        x = self.embed(tokens)
        for index in range(4):
            x = x + self.attention[index](self.norms[2 * index](x))
            x = x + self.ffw[index](self.norms[2 * index + 1](x))
        return self.head(self.norms[8](x))


def memory(field):
    """VmRSS or VmHWM, its peak, in bytes."""
    return 1024 * int(re.search(rf"{field}:\s*(\d+)", pathlib.Path("/proc/self/status").read_text(encoding="ascii"))[1])


def optimizers(model, side):
    rate = {"lr": 1e-3, "betas": (0.9, 0.95)}
    if side == "replaced":
        return [peer.optim.AdamW(model, weight_decay=0, **rate)]
    if side != "SparseAdam":
        return [torch.optim.Adam(model.parameters(), **rate)]
    tables = [model.ffw[2].weight_down_embed, model.ffw[2].weight_up_embed]
    for table in tables:
        table.sparse = True
    tables = [table.weight for table in tables]
    return [torch.optim.SparseAdam(tables, **rate), torch.optim.Adam([p for p in model.parameters() if all(p is not table for table in tables)], **rate)]


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("side", choices=SIDES)
    parser.add_argument("--experts", type=int, default=1024**2)
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--tokens", type=int, default=1024)
    parser.add_argument("--steps", type=int, default=4)
    options = parser.parse_args(arguments)
    torch.manual_seed(1)
    before = memory("VmRSS")
    model = Decoder(options.experts, options.width)
    table = 2 * options.experts * options.width * 4
    if options.side == "replaced":
        peer.replace(model, verbose=False)
    steps, called = optimizers(model, options.side), torch.compile(model) if options.side == "compile" else model
    # What making the model took is none of the steps'.
    pathlib.Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    seconds, losses = [], []
    for number in range(options.steps):
        # Every other step the same batch: a step that does not train is seen.
        generator = torch.Generator().manual_seed(number % 2)
        tokens = torch.randint(256, (options.tokens // 128, 129), generator=generator)
        start = time.perf_counter()
        for each in steps:
            each.zero_grad()
        loss = torch.nn.functional.cross_entropy(called(tokens[:, :-1]).flatten(0, 1), tokens[:, 1:].flatten())
        loss.backward()
        for each in steps:
            each.step()
        seconds.append(time.perf_counter() - start)
        losses.append(loss.item())
    print(json.dumps({"seconds": seconds, "losses": losses, "table_bytes": table, "above_table_bytes": memory("VmHWM") - before - table, "torch": torch.__version__,
                      "threads": torch.get_num_threads()}))


if __name__ == "__main__":
    main()
