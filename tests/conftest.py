"""Every test starts from the same random numbers."""

import keras
import pytest

# Scripts that tests run as processes of their own, of which each needs its backend.
collect_ignore_glob = ["devices/*"]


@pytest.fixture(autouse=True)
def seed():
    keras.utils.set_random_seed(0)
