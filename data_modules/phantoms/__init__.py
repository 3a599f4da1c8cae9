"""Package data_modules.phantoms."""
