"""What a terminal shows: the console for all output, and the progress of a run."""
