"""From one modality to the other: the translator, how it is trained, and how it is evaluated."""
