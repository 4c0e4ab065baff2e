"""From what people write to what the engine does: JSON in, events in plain words out.

Run it with ``python examples/messages.py``.
"""

from __future__ import annotations

from tradecore import Engine
from tradecore.catalog import Catalog
from tradecore.describe import describe_events, to_line
from tradecore.edge import decode_message, to_frames
from tradecore.errors import FrameError
from tradecore.instruments import AssetSpec, InstrumentSpec

USD, BTC = AssetSpec("USD", 0), AssetSpec("BTC", 1)
SPEC = InstrumentSpec("BTC-USD", 0, BTC, USD, tick_size="0.01", lot_size="0.0001")

CLIENTS = """
{"type": "open_account", "account_id": 1}
{"type": "open_account", "account_id": 2}
{"type": "deposit", "account_id": 1, "asset": "BTC", "amount": "2"}
{"type": "deposit", "account_id": 2, "asset": "USD", "amount": "100000"}
{"type": "new_order", "order_id": 10, "account_id": 1, "instrument": "BTC-USD", "side": "sell",
 "px": "64000.50", "order_qty": "1.5"}
{"type": "new_order", "order_id": 20, "account_id": 2, "instrument": "BTC-USD", "side": "buy",
 "px": "64001.00", "order_qty": "0.25", "tif": "ioc"}
{"type": "new_order", "order_id": 21, "account_id": 2, "instrument": "BTC-USD", "side": "buy",
 "px": "64001.005", "order_qty": "0.25"}
"""


def main() -> list[str]:
    """Run the messages and return what was printed."""
    catalog = Catalog([SPEC])
    engine = Engine(accounts=True, max_instruments=4, max_orders=1024, max_accounts=16)
    engine.apply(SPEC.to_frame())
    printed = []
    for text in CLIENTS.strip().replace("\n ", " ").splitlines():
        try:
            frames = to_frames(decode_message(text), catalog)
        except FrameError as error:
            printed.append(f"refused: {error}")
            continue
        events = engine.apply(frames)
        printed += [to_line(event) for event in describe_events(bytes(events), catalog)]
    return printed


if __name__ == "__main__":
    print("\n".join(main()))
