"""Where trials run; each module offers an executor of the same shape."""
