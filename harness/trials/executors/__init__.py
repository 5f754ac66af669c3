"""Executors: each module runs trials somewhere, through a function of the same signature."""
