"""The kit that reports are made of: tables, notes, and how each format writes them."""
