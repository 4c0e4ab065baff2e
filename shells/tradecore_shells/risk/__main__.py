"""``python -m tradecore_shells.risk FILE.toml``: risk as its own process."""

import sys

from tradecore_shells.plumbing.runtime import leave
from tradecore_shells.risk.build import main

leave(main, sys.argv[1:])
