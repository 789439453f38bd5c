"""The images of a run, looked at before it begins: their splits, files, labels and preprocessing."""
