"""Files of a run and of a history, both ways: journal, results.csv, history.csv, locks."""
