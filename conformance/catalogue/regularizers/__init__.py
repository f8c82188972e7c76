"""The cases of the regularizers, one module per family."""
