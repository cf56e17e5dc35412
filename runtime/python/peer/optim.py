"""Optimizers for models with layers of experts; they need torch."""
from ._torch.optim import AdamW

__all__ = ["AdamW"]
