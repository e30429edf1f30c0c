"""Stand-ins, records, runs and processes that several tests share."""
