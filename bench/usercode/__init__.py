"""A user's files and git revisions: names, loading, imports, failures."""
