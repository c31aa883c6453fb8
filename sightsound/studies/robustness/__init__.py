"""What missing and damaged files cost."""
