"""`python -m minilm` is the same as `minilm`."""

import sys

from minilm.cli import main

if __name__ == "__main__":
    sys.exit(main())
