"""Transforms of clips: loading, color, pseudo-clips, filtering, copy-paste, packing."""
