"""What is compared: the grid, the work of a workload, one benchmark module for each factor."""
