"""Arms from their names to something that can be called: parts of vitcore, and a user's own."""
