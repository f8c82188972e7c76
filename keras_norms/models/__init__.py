"""Models: constraints and regularizers on a whole model that is built already."""
