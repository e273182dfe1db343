"""Published checkpoints: where they are, what their tensors are called, and safe reading."""
