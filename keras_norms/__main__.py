"""`python -m keras_norms` is the same as `keras-norms`."""

import sys

from keras_norms.cli import main

sys.exit(main())
