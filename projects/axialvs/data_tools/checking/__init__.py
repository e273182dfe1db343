"""Find problems in a dataset before training: `check.check_dataset`."""
