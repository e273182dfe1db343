"""Annotations of other layouts as files in the YouTube-VIS layout, which the data sets read."""
