"""Results on disk, and as pandas DataFrames."""
