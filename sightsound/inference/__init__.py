"""From the network's output to predictions of subsets of the modalities, and metrics of them."""
