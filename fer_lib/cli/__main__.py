"""``python -m fer_lib.cli`` is ``fer``."""

import sys

from fer_lib.cli import main

if __name__ == "__main__":
    sys.exit(main())
