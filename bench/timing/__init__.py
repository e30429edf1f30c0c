"""Time and device memory: clocks, alternating pairs, the yardstick."""
