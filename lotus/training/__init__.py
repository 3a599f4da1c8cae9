"""One training: its command line, its configuration, whom it knows."""
