"""How well regressions are found: planted ones, and none, measured and told."""
