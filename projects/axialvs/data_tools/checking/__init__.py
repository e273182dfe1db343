"""Find everything in a dataset that would go wrong in training: `check.check_dataset`."""
