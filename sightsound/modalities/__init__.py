"""The modalities image and audio, and the base class of your own ones (`modalities.base.Modality`)."""
