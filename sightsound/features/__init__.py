"""What the encoders see: standardised pixels and log-mel frames, as modules inside the network."""
