"""Published checkpoints: download, key mapping and safe loading."""
