"""Scores of predictions that are on disk."""
