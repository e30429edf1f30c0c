"""Costs of an arm: memory and its prediction, FLOPs, graphs, kernels, limits, top-1, profiles."""
