"""What is fast and what helps, measured."""
