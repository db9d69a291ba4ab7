"""`python -m internlm_setup`."""

import sys

from internlm_setup.cli import main

if __name__ == "__main__":
    sys.exit(main())
