"""News and weather sources: outside messages in, events out."""
