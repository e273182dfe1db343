"""Designs of cross-clip tracking; `designs` builds them by name."""
