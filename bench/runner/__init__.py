"""Passes as processes: plan, start, watch, merge."""
