"""Package lotus.inference."""
