"""Every test starts from the same random numbers, and the longest tests start first."""

import gc
import pathlib
import sys
import types

import pytest

# The package is the one that is installed; of the checkout, only the suite can be imported.
_suite = sys.modules["conformance"] = types.ModuleType("conformance")
_suite.__path__ = [str(pathlib.Path(__file__).parents[1] / "conformance")]

# Scripts that run as processes of their own, and one for mypy, which never runs.
collect_ignore_glob = [
    "devices/*",
    "release/*",
    "site/*",
    "third_party/*",
    "third_party_package/*",
    "typed/*",
]

# Files with tests that train for long or start processes. A process that is left with one of them
# at the end would keep all others waiting.
LONG = (
    "test_real_models",
    "test_devices",
    "test_command_line",
    "test_suite_command",
    "test_processes",
)


@pytest.fixture(autouse=True)
def seed():
    import keras  # not above: the process that hands tests to others has no use for it

    keras.utils.set_random_seed(0)
    # Keras makes the policy at its first use, of the floatx of then, and a test may set another.
    keras.config.dtype_policy()


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: item.path.stem not in LONG)


def pytest_collection_finish():
    """What was imported stays, so the garbage collector need not look at it during each test."""
    gc.collect()
    gc.freeze()
