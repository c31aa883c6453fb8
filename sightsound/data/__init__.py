"""From the user's table and files to batches of tensors."""
