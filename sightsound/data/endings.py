"""Which endings of files are those of images and sounds, where a name is all there is; readers go by the content."""

ENDINGS = {
    "image": {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff"},
    "audio": {".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".m4a", ".aac", ".amr", ".weba"},
}
MODALITY_OF = {ending: m for m, endings in ENDINGS.items() for ending in endings}
