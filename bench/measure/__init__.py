"""Clocks, pairs, caches, memory, numeric error and the machine: how one case is measured."""
