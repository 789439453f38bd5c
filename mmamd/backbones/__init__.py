"""Backbones that can run as any candidate of their own family."""

from mmamd.backbones.masked_vit import MaskedViT

__all__ = ['MaskedViT']
