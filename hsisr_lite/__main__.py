"""``python -m hsisr_lite`` is the command ``hsisr-lite``."""

import sys

from hsisr_lite.cli import main

if __name__ == "__main__":
    sys.exit(main())
