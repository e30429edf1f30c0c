"""Inside a fresh process: build arms, measure them, write each outcome to the journal."""
