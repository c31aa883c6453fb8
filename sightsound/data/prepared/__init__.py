"""Decoded files as arrays, in memory or cached on disk."""
