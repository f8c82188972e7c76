"""What an older Keras cannot do: tests that must fail there, each with the reason."""

import keras
import pytest

_VERSION = tuple(int(part) for part in keras.__version__.split(".")[:2])


def fails_before(version, reason, backend=None):
    """A mark for a test that fails with the oldest Keras, and passes from a version on.

    Args:
        version: A version with which the test passes, such as (3, 14). Of those between it and the
            oldest that is supported, some may pass as well: they have not run.
        reason: What the older Keras does.
        backend: The only backend on which the test fails; by default, it does on all.
    """
    is_here = backend in (None, keras.backend.backend())
    return pytest.mark.xfail(is_here and version > _VERSION, reason=reason, strict=True)


TAKES_NO_FUNCTION = "Keras takes no function as the constraint of a variable"
REFUSES_THE_WRONG_KIND = "Keras refuses the model itself, so there is nothing to find"
WARNS_OF_A_CACHE = "TorchDynamo of PyTorch 2.13 warns of a cache of Keras that it passes over"
CANNOT_BE_TRACED = "TorchDynamo of PyTorch 2.13 cannot trace the operations of Keras"
WARNS_OF_ITSELF = "Keras warns that its transposed convolution differs between backends"
REFUSES_BOTH = "Keras refuses a depthwise convolution with both strides and dilation"
HAS_NO_SUCH_LAYER = "Keras has no ReversibleEmbedding"
HAS_NO_MULTI_OPTIMIZER = "Keras has no MultiOptimizer"
HAS_NO_SUCH_POLICY = "Keras cannot quantize in this way"
HOLDS_NO_MODULE = "no config holds a module of PyTorch, so what follows it is lost as well"
READS_NO_NEWER_FILE = "Keras knows no `quantization_config`, which the file has"
