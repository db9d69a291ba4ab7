"""`python -m internlm_setup`: the same as the installed command."""

from __future__ import annotations

import sys

from internlm_setup.cli import main

if __name__ == "__main__":
    sys.exit(main())
