"""The exit codes of `keras-norms conformance` and `laws`."""

CONFORMS, FAILS, USAGE, BROKEN, NO_DEVICE, NOTHING_RAN = range(6)
