"""Package lotus."""
