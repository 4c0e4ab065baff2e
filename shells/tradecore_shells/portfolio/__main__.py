"""``python -m tradecore_shells.portfolio FILE.toml``: the portfolio as its own process."""

import sys

from tradecore_shells.portfolio.build import main

sys.exit(main(sys.argv[1:]))
