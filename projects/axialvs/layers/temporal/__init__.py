"""Temporal attentions of the within-clip tracking module; `encoder` builds them by name."""
