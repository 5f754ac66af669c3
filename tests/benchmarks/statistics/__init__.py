"""How often intervals, p-values and verdicts are right, counted on data of known truth."""
