"""From timed pairs to ratios, intervals, verdicts and rows: numbers in, numbers out."""
