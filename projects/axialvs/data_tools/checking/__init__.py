"""Find everything in a data set that would go wrong in training: `check.check_dataset`."""
