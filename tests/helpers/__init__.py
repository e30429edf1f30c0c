"""Fakes, records, runs and processes shared by the tests."""
