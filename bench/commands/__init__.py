"""The commands of ``vitbench``, one module for each group: arguments and printing only."""
