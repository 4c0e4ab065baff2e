"""``python -m tradecore_shells.risk FILE.toml``: risk as its own process."""

import sys

from tradecore_shells.risk.build import main

sys.exit(main(sys.argv[1:]))
