"""Measure the ways to compute a Vision Transformer and say which to choose."""

__all__: list[str] = []
