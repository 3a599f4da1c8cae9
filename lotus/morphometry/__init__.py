"""Package lotus.morphometry."""
