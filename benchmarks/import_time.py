"""What `import keras_norms` adds to `import keras`, in seconds: the median of five processes."""

import statistics
import subprocess
import sys

CODE = (
    "import time, keras; start = time.perf_counter(); import keras_norms;"
    "print(time.perf_counter() - start)"
)
LIMIT = 0.1


def main():
    seconds = statistics.median(
        float(
            subprocess.run(
                [sys.executable, "-P", "-c", CODE], capture_output=True, check=True
            ).stdout
        )
        for _ in range(5)
    )
    print(
        f"import keras_norms adds {seconds * 1e3:.1f} ms to import keras (limit {LIMIT * 1e3:.0f})"
    )
    return seconds > LIMIT


if __name__ == "__main__":
    sys.exit(main())
