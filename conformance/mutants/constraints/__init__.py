"""Mutants of the constraints, one module per family."""
