"""The comparisons of a run: grid, work of each workload, one benchmark module per factor."""
