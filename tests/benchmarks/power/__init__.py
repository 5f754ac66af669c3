"""A study of how well the harness finds planted regressions, and of its false alarms."""
