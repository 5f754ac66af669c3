"""Timed work: what to time, when, and the one engine that does it."""
