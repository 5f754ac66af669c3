"""From the plan of a run to a result for each trial."""
