"""What an arm costs: memory and its prediction, FLOPs, graphs, kernels, limits, top-1, profiles."""
