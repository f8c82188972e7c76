"""The conformance suite's runner, the laws, and what tests need to ask of a backend."""

from typing import Any


def __getattr__(name: str) -> Any:
    # Not imported above: the laws need hypothesis, and the rest does not.
    if name == "parametrize_with_checks":
        from keras_norms.testing.laws import parametrize_with_checks

        return parametrize_with_checks
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
