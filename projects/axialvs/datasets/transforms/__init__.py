"""Transforms of clips: loading, colour, pseudo-clips, filtering, copy-paste, packing."""
