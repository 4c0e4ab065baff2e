"""Matching cases written by hand from the rules of the schema; nothing here was produced by a run.

The names of the keys are those of the public schema; every expectation follows from one sentence of
a venue's rule, given as `source`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

LIMIT, MARKET, STOP = "LIMIT", "MARKET", "STOP"
EMPTY = {"bids": [], "asks": []}


def new(number: int, side: str, kind: str, px: Any, qty: int, **fields: Any) -> dict[str, Any]:
    order = {"op": "new", "id": number, "acct": f"A{number}", "side": side, "type": kind}
    order |= {"qty": qty, "tif": "IOC" if kind == MARKET else "GTC"}
    if px is not None:
        order["px"] = px
    return order | fields


def op(name: str, **fields: Any) -> dict[str, Any]:
    return {"op": name} | fields


def final(status: str, cum: int, reason: Any = None) -> dict[str, Any]:
    row = {"status": status, "cum": cum}
    return row if reason is None else row | {"reason": reason}


def trade(taker: int, maker: int, px: Any, qty: int) -> dict[str, Any]:
    return {"taker": taker, "maker": maker, "px": px, "qty": qty}


THREE_SELLS = [new(1, "S", LIMIT, 100, 1), new(2, "S", LIMIT, 101, 1), new(3, "S", LIMIT, 102, 1)]
TWO_STOPS = [new(4, "B", STOP, None, 1, stop=99), new(5, "B", STOP, None, 1, stop=98)]
TRADED_AT_100 = [new(1, "S", LIMIT, 100, 1), new(2, "B", LIMIT, 100, 1), new(3, "S", LIMIT, 101, 1)]
THROUGH = [*TRADED_AT_100, new(4, "B", STOP, None, 1, stop=99)]

CASES: list[tuple[str, str, dict[str, Any], list[dict[str, Any]], dict[str, Any], str | None]] = [
    (
        "tick",
        "a price must be a multiple of the tick",
        {"tick": 5},
        [new(1, "B", LIMIT, 101, 1), new(2, "B", LIMIT, 105, 1)],
        {"final": {"1": final("REJECTED", 0, "TICK"), "2": final("NEW", 0)}},
        None,
    ),
    (
        "min_qty_filter",
        "a quantity below the minimum is refused, at the minimum it is accepted",
        {"min_order_qty": 2},
        [new(1, "B", LIMIT, 100, 1), new(2, "B", LIMIT, 100, 2)],
        {"final": {"1": final("REJECTED", 0, "MIN_LOT"), "2": final("NEW", 0)}},
        None,
    ),
    (
        "price_band",
        "a price is at most 10 % from the reference",
        {"ref_px": 100, "band_up_pct": 10, "band_down_pct": 10},
        [new(n, "B", LIMIT, px, 1) for n, px in ((1, 111), (2, 110), (3, 90), (4, 89))],
        {
            "final": {
                "1": final("REJECTED", 0, "PRICE_BAND"),
                "2": final("NEW", 0),
                "3": final("NEW", 0),
                "4": final("REJECTED", 0, "PERCENT_PRICE"),
            }
        },
        None,
    ),
    (
        "price_band_as_fraction",
        "0.1 % of 100 would be less than one unit of price: 0.1 is 10 %",
        {"ref_px": 100, "band_up_pct": 0.1},
        [new(1, "B", LIMIT, 111, 1), new(2, "B", LIMIT, 110, 1)],
        {"final": {"1": final("REJECTED", 0, "PRICE_BAND"), "2": final("NEW", 0)}},
        None,
    ),
    (
        "price_band_below_one_percent",
        "0.5 % of 1000 is five units of price",
        {"ref_px": 1000, "band_up_pct": 0.5},
        [new(1, "B", LIMIT, 1006, 1), new(2, "B", LIMIT, 1005, 1)],
        {"final": {"1": final("REJECTED", 0, "PRICE_BAND"), "2": final("NEW", 0)}},
        None,
    ),
    (
        "post_only_crossing",
        "a post-only order that would take is refused",
        {},
        [new(1, "S", LIMIT, 100, 5), new(2, "B", LIMIT, 100, 5, post_only=True)],
        {
            "trades": [],
            "final": {"2": final("REJECTED", 0, ["POST_ONLY", "WOULD_CROSS"])},
            "book": {"bids": [], "asks": [[100, [[1, 5]]]]},
        },
        None,
    ),
    (
        "market_remainder",
        "what a market order finds no partner for expires",
        {},
        [new(1, "S", LIMIT, 100, 5), new(2, "B", MARKET, None, 8)],
        {
            "trades": [trade(2, 1, 100, 5)],
            "final": {"2": final("EXPIRED", 5, "NO_LIQUIDITY")},
            "book": EMPTY,
        },
        None,
    ),
    (
        "stp_both",
        "both sides of a self-trade expire",
        {},
        [
            new(1, "S", LIMIT, 100, 5, acct="U"),
            new(2, "B", LIMIT, 100, 5, acct="U", stp="EXPIRE_BOTH"),
        ],
        {
            "trades": [],
            "final": {"1": final("EXPIRED", 0, "STP"), "2": final("EXPIRED", 0, "SELF_TRADE")},
            "book": EMPTY,
        },
        None,
    ),
    (
        "stp_market_expire_maker",
        "the maker expires, then nothing is left for the market order",
        {},
        [
            new(1, "S", LIMIT, 100, 1, acct="U"),
            new(2, "B", MARKET, None, 1, acct="U", stp="EXPIRE_MAKER"),
        ],
        {
            "trades": [],
            "final": {"1": final("EXPIRED", 0, "STP"), "2": final("EXPIRED", 0, "NO_LIQUIDITY")},
        },
        None,
    ),
    (
        "stp_decrement_partial",
        "the smaller quantity is taken off both",
        {},
        [
            new(1, "S", LIMIT, 100, 5, acct="U"),
            new(2, "B", LIMIT, 100, 8, acct="U", stp="DECREMENT"),
        ],
        {
            "final": {"1": final("EXPIRED", 0, "STP"), "2": final("NEW", 0)},
            "prevented": {"1": 5, "2": 5},
            "book": {"bids": [[100, [[2, 3]]]], "asks": []},
        },
        None,
    ),
    (
        "fok_ignores_own_orders",
        "liquidity that self-trade prevention would remove does not count",
        {},
        [
            new(1, "S", LIMIT, 100, 5, acct="U"),
            new(2, "S", LIMIT, 100, 5),
            new(3, "B", LIMIT, 100, 8, tif="FOK", acct="U", stp="EXPIRE_MAKER"),
        ],
        {"trades": [], "final": {"1": final("NEW", 0), "3": final("EXPIRED", 0, "FOK")}},
        None,
    ),
    (
        "min_qty_unmet",
        "less than the minimum quantity: nothing executes",
        {},
        [new(1, "S", LIMIT, 100, 4), new(2, "B", LIMIT, 100, 10, tif="IOC", min_qty=5)],
        {"trades": [], "final": {"1": final("NEW", 0), "2": final("EXPIRED", 0, "MIN_QTY")}},
        None,
    ),
    (
        "stops_by_distance",
        "the stop with the greatest distance to the last price is elected first",
        {"stop_election": "distance"},
        [*THREE_SELLS, *TWO_STOPS, new(6, "B", LIMIT, 100, 1)],
        {"trades": [trade(6, 1, 100, 1), trade(5, 2, 101, 1), trade(4, 3, 102, 1)]},
        None,
    ),
    (
        "stops_by_entry",
        "the oldest stop is elected first",
        {},
        [*THREE_SELLS, *TWO_STOPS, new(6, "B", LIMIT, 100, 1)],
        {"trades": [trade(6, 1, 100, 1), trade(4, 2, 101, 1), trade(5, 3, 102, 1)]},
        None,
    ),
    (
        "stop_cascade",
        "a stop's own trade elects the next one",
        {},
        [
            *(new(n, "B", LIMIT, 101 - n, 1) for n in (1, 2, 3)),
            new(4, "S", STOP, None, 1, stop=100),
            new(5, "S", STOP, None, 1, stop=99),
            new(6, "S", LIMIT, 100, 1),
        ],
        {"trades": [trade(6, 1, 100, 1), trade(4, 2, 99, 1), trade(5, 3, 98, 1)]},
        None,
    ),
    (
        "stop_through_accepted",
        "a stop that is through at entry executes at once",
        {"stop_immediate": True},
        THROUGH,
        {"trades": [trade(2, 1, 100, 1), trade(4, 3, 101, 1)]},
        None,
    ),
    (
        "stop_through_refused",
        "a stop that is through at entry is refused",
        {"stop_immediate": "reject"},
        THROUGH,
        {"trades": [trade(2, 1, 100, 1)], "final": {"4": final("REJECTED", 0, "WOULD_TRIGGER")}},
        None,
    ),
    (
        "stop_through_open_accepted",
        "where the case does not say, it may be accepted",
        {},
        THROUGH,
        {"final": {"4": final("FILLED", 1)}},
        None,
    ),
    (
        "stop_through_open_refused",
        "where the case does not say, it may be refused",
        {},
        THROUGH,
        {"final": {"4": final("REJECTED", 0, "STOP_WOULD_TRIGGER")}},
        None,
    ),
    (
        "stop_dormant",
        "a stop without a trade waits and is not in the book",
        {},
        [new(1, "B", STOP, None, 1, stop=99)],
        {"trades": [], "dormant_stops": [1], "book": EMPTY, "final": {"1": final("NEW", 0)}},
        None,
    ),
    (
        "stop_cancelled_while_dormant",
        "a stop that was cancelled waits no more",
        {},
        [new(1, "B", STOP, None, 1, stop=99), op("cancel", id=1)],
        {"dormant_stops": [], "final": {"1": final("CANCELLED", 0)}},
        None,
    ),
    (
        "trailing_buy",
        "a trailing buy stop fires 5 % above the lowest price: 42,000 x 1.05 = 44,100",
        {},
        [
            new(1, "B", "STOP_LOSS_LIMIT", 45000, 1, trailing_bips=500, last_at_entry=43000),
            *(op("last", px=px) for px in (42000, 43000, 44099, 44100)),
        ],
        {"trigger_command_index": 4, "trigger_px": 44100},
        None,
    ),
    (
        "trailing_buy_activated",
        "it trails from the activation price down: 37,000 x 1.085 = 40,145",
        {},
        [
            new(
                *(1, "B", "TAKE_PROFIT_LIMIT", 41000, 1),
                trailing_bips=850,
                stop=38000,
                last_at_entry=40000,
            ),
            *(op("last", px=px) for px in (39000, 40500, 38000, 37000, 40144, 40145)),
        ],
        {"trigger_command_index": 6, "trigger_px": 40145},
        None,
    ),
    (
        "iceberg_refresh",
        "a new tip stands behind the level",
        {},
        [
            new(1, "S", LIMIT, 100, 30, display=10),
            new(2, "S", LIMIT, 100, 10),
            new(3, "B", LIMIT, 100, 15),
        ],
        {
            "trades": [trade(3, 1, 100, 10), trade(3, 2, 100, 5)],
            "book": {"bids": [], "asks": [[100, [[2, 5], [1, 10]]]]},
        },
        None,
    ),
    (
        "iceberg_prints_merged",
        "adjacent prints of one maker may be one print",
        {},
        [new(1, "S", LIMIT, 100, 25, display=10), new(2, "B", LIMIT, 100, 20)],
        {"trades": [trade(2, 1, 100, 20)]},
        "adjacent fills may be merged into one",
    ),
    (
        "pro_rata_top",
        "the order that made the best price fills first; the rest is shared by size",
        {"algo": "prorata", "top": True},
        [
            *(new(1, "B", LIMIT, 99, 10), new(2, "B", LIMIT, 100, 10), new(3, "B", LIMIT, 100, 90)),
            new(4, "S", LIMIT, 100, 20),
        ],
        {"trades": [trade(4, 2, 100, 10), trade(4, 3, 100, 10)]},
        None,
    ),
    (
        "amend_up_loses_priority",
        "a larger quantity goes to the back",
        {},
        [
            *(new(1, "B", LIMIT, 100, 5), new(2, "B", LIMIT, 100, 5)),
            op("amend", id=1, qty=6),
            new(3, "S", LIMIT, 100, 5),
        ],
        {"trades": [trade(3, 2, 100, 5)]},
        None,
    ),
    (
        "amend_into_cross",
        "amended through the other side it trades at the maker's price",
        {},
        [new(1, "S", LIMIT, 100, 5), new(2, "B", LIMIT, 90, 5), op("amend", id=2, px=105)],
        {"trades": [trade(2, 1, 100, 5)]},
        None,
    ),
    (
        "unknown_ids",
        "what does not exist cannot be cancelled or amended",
        {},
        [op("cancel", id=8), op("amend", id=9, qty=6)],
        {
            "command_rejects": [
                {"index": 0, "reason": ["UNKNOWN_ORDER", "TOO_LATE"]},
                {"index": 1, "reason": "NOT_FOUND"},
            ]
        },
        None,
    ),
    (
        "gtd_at_its_time",
        "an order expires at its time",
        {},
        [
            op("time", t=1000),
            new(1, "S", LIMIT, 100, 5, tif="GTD", expire=2000),
            op("time", t=2000),
        ],
        {"final": {"1": final("EXPIRED", 0, "GTD")}, "book": EMPTY},
        None,
    ),
    (
        "id_again_after_its_end",
        "an id is free once its order has ended",
        {},
        [new(1, "B", LIMIT, 100, 5), op("cancel", id=1), new(1, "B", LIMIT, 101, 5)],
        {"final": {"1": final("NEW", 0)}, "book": {"bids": [[101, [[1, 5]]]], "asks": []}},
        None,
    ),
    (
        "fractions",
        "prices may be halves and quarters",
        {},
        [new(1, "B", LIMIT, 100.5, 5), new(2, "S", LIMIT, 100.25, 5)],
        {"trades": [trade(2, 1, 100.5, 5)]},
        None,
    ),
    (
        "auction_then_continuous",
        "buy surplus: the highest price; afterwards the market is continuous",
        {},
        [
            op("phase", phase="AUCTION"),
            *(new(1, "B", LIMIT, 102, 150), new(2, "S", LIMIT, 100, 100)),
            op("uncross", ref=None),
            new(3, "S", LIMIT, 102, 10),
        ],
        {
            "auction": {"price": 102, "volume": 100, "surplus": 50},
            "fills_per_order": {"1": 110, "2": 100, "3": 10},
        },
        None,
    ),
    (
        "names_that_are_words",
        "ids and accounts are names, not numbers",
        {},
        [new(1, "S", LIMIT, 100, 5) | {"id": "ask"}, new(2, "B", LIMIT, 100, 2) | {"id": "bid"}],
        {
            "trades": [{"taker": "bid", "maker": "ask", "px": 100, "qty": 2}],
            "book": {"bids": [], "asks": [[100, [["ask", 3]]]]},
        },
        None,
    ),
]


def as_case(name: str) -> dict[str, Any]:
    _, source, config, commands, expect, ambiguity = next(c for c in CASES if c[0] == name)
    return {
        "name": name,
        "category": "by hand",
        "source": source,
        "config": config,
        "commands": commands,
        "expect": expect,
        "ambiguity": ambiguity,
    }


def write_jsonl(path: Path, cases: list[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(case) + "\n" for case in cases))
    return str(path)
