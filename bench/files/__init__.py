"""Files of runs and histories: journal, results.csv, history.csv, locks."""
