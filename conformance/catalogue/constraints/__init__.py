"""The cases of the constraints, one module per family."""
