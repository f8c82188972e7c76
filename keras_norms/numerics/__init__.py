"""Numerics: pure functions of tensors. No Keras classes here, and no state."""
