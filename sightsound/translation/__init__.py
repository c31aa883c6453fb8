"""Cross-modal generation: the translator, its training, and its evaluation."""
