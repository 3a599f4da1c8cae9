"""From a data set's own layout to a manifest; one module per layout, each with ``prepare``."""
