"""From the file of a segmented volume to tables and pictures: what `lotus measure` does."""
