"""From the network's output to answers about subsets of the modalities, and numbers about them."""
