"""Mutants of the regularizers, one module per family."""
