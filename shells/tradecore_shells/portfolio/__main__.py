"""``python -m tradecore_shells.portfolio FILE.toml``: the portfolio as its own process."""

import sys

from tradecore_shells.plumbing.runtime import leave
from tradecore_shells.portfolio.build import main

leave(main, sys.argv[1:])
