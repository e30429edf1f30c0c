"""A request to results: plan, schedule, start worker processes, merge. No torch."""
