"""Optimizers for models with layers of experts; they need torch."""
from ._torch.optim import AdamW, LazyAdamW, in_backward

__all__ = ["AdamW", "LazyAdamW", "in_backward"]
