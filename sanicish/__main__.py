"""``python -m sanicish`` is the command ``sanicish``."""

import sys

from sanicish.command.cli import main

if __name__ == "__main__":
    sys.exit(main())
