"""Worker processes: build arms, measure them, append each outcome to the journal."""
