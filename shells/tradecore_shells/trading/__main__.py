"""``python -m tradecore_shells.trading FILE.toml``: the trading service as its own process."""

import sys

from tradecore_shells.plumbing.runtime import leave
from tradecore_shells.trading.build import main

leave(main, sys.argv[1:])
