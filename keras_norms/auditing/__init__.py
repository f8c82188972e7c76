"""Auditing: what is silently wrong with a model, and how to mend it."""
