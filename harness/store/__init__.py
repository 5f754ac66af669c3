"""Stores results in a database, and reads them as pandas DataFrames."""
