"""Timing: clocks, alternating pairs, caches and memory of the device, the yardstick."""
