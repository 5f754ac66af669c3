"""Two versions of the code side by side, measured in turns."""
