"""`python -m keras_norms` is the same as `keras-norms`."""

import sys

from keras_norms.cli import main

if __name__ == "__main__":
    sys.exit(main())
