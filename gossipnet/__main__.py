"""``python -m gossipnet``: the same as the command ``gossipnet``."""

import sys

from gossipnet.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
