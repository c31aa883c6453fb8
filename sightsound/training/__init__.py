"""From a table to a trained, saved classifier: the one training procedure."""
