"""`python -m memguard` is the `memguard` command."""

import sys

from memguard.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
