"""Frozen records with units in their names; standard library only."""
