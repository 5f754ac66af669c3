"""What a terminal shows: the console that everything is printed on, and a run while it runs."""
