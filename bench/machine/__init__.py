"""The machine: processor, GPU, container, load, counters, energy, git."""
