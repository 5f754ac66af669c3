"""From what was measured to what it says: frames in, frames out."""
