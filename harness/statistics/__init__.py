"""What figures say and how sure that is: pure functions of frames and arrays."""
