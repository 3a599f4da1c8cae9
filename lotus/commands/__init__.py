"""Package lotus.commands."""
