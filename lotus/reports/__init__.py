"""Package lotus.reports."""
