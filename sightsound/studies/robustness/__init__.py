"""Measures what missing and damaged files cost."""
