"""Analysis of stored results: rankings, comparisons, timings and history. Frames in, frames out."""
