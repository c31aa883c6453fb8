"""The classifier's network: features, encoders, heads and one fusion strategy."""
