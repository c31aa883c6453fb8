"""Decoded files as arrays, in memory or kept on disk."""
