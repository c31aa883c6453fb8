"""The encoders' inputs: standardised pixels and log-mel frames, as modules inside the network."""
