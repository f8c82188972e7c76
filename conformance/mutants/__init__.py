"""Known-bad implementations. Each must fail at least one case on every backend."""
