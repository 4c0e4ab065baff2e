"""`python -m tradecore.cli` is the same program as `tradecore`."""

from __future__ import annotations

import sys

from tradecore.cli import main

if __name__ == "__main__":
    sys.exit(main())
