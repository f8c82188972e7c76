"""The conformance suite's runner, and what tests need to ask of a backend."""
