"""Exact values from the definitions, in 200-bit arithmetic. No keras, numpy or keras_norms here."""
