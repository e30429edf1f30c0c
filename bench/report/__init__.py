"""Records in, text or figures out. No torch, and nothing is measured here."""
