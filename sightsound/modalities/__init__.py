"""The modalities there are: image and audio; and what one of your own must be (`modalities.base.Modality`)."""
