"""Which statuses a reason in somebody else's words may mean.

A scenario's author writes a reason as a word of their own; the schema says to map, not to copy. A
word is looked up without regard to case, blanks, hyphens and underscores; what is neither listed
here nor the name of a status is compared part by part with the names.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

from tradecore.status import Status

__all__ = ["allowed_statuses"]

_WORDS: Final[dict[frozenset[Status], str]] = {
    frozenset((Status.TICK,)): "TICK TICK_SIZE PRICE_TICK PRICE_FILTER INVALID_TICK",
    frozenset((Status.LOT,)): "LOT LOT_SIZE STEP_SIZE QTY_STEP INVALID_LOT",
    frozenset((Status.MIN_QTY,)): "MIN_LOT MIN_ORDER_QTY MIN_SIZE BELOW_MIN_QTY QTY_TOO_SMALL",
    # "minimum quantity" is the instrument's when an order is refused, the order's when it expires.
    frozenset((Status.MIN_QTY, Status.MIN_QTY_UNMET)): "MIN_QTY MINIMUM_QUANTITY",
    frozenset((Status.MIN_QTY_UNMET,)): "MIN_QTY_NOT_MET MINQTY_UNMET MES MIN_EXEC_QTY MIN_FILL",
    frozenset((Status.MAX_QTY,)): "MAX_LOT MAX_ORDER_QTY MAX_SIZE ABOVE_MAX_QTY QTY_TOO_LARGE",
    frozenset((Status.MIN_NOTIONAL,)): "NOTIONAL MIN_VALUE",
    frozenset((Status.PRICE_BAND,)): "BAND PRICE_LIMIT PERCENT_PRICE PRICE_COLLAR COLLAR "
    "PRICE_RANGE OUTSIDE_BAND BAND_UP BAND_DOWN LIMIT_UP LIMIT_DOWN",
    frozenset((Status.WOULD_CROSS,)): "POST_ONLY POST_ONLY_CROSS POST_ONLY_WOULD_CROSS WOULD_TAKE "
    "POST_ONLY_WOULD_TAKE WOULD_MATCH POST_ONLY_CROSSES CROSSING GTX",
    frozenset((Status.WOULD_TRIGGER,)): "STOP_WOULD_TRIGGER WOULD_TRIGGER_IMMEDIATELY "
    "STOP_IMMEDIATE TRIGGER_IMMEDIATELY IMMEDIATE_TRIGGER STOP_TRIGGERED STOP_ALREADY_TRIGGERED "
    "STOP_THROUGH STOP_PRICE ALREADY_THROUGH",
    frozenset((Status.FOK,)): "FILL_OR_KILL FOK_KILLED FOK_UNFILLED FOK_NOT_FILLED KILLED",
    frozenset((Status.IOC_REMAINDER,)): "IOC IOC_EXPIRED IMMEDIATE_OR_CANCEL IOC_REST REMAINDER",
    frozenset((Status.NO_LIQUIDITY,)): "INSUFFICIENT_LIQUIDITY MARKET_REMAINDER MARKET_REST "
    "EMPTY_BOOK NO_MATCH",
    frozenset((Status.CASH_SPENT, Status.NO_LIQUIDITY)): "QUOTE_SPENT BUDGET CASH",
    frozenset((Status.STP,)): "SELF_TRADE SELF_TRADE_PREVENTION SELF_MATCH SELF_MATCH_PREVENTION "
    "EXPIRED_IN_MATCH STP_EXPIRED SMP",
    frozenset((Status.GTD, Status.EXPIRE_PAST)): "GTD EXPIRE EXPIRED EXPIRY TIME GTT GTD_EXPIRED "
    "TIME_EXPIRED EXPIRE_TIME",
    frozenset((Status.EXPIRE_PAST,)): "GTD_PAST EXPIRED_ON_ENTRY EXPIRE_IN_PAST EXPIRY_IN_PAST",
    frozenset((Status.DAY,)): "END_OF_DAY DAY_END",
    frozenset((Status.DUPLICATE_ORDER_ID,)): "DUPLICATE_ID DUPLICATE DUPLICATE_ORDER DUP_ID",
    frozenset((Status.UNKNOWN_ORDER,)): "UNKNOWN UNKNOWN_ID TOO_LATE TOO_LATE_TO_CANCEL NOT_FOUND "
    "ORDER_NOT_FOUND NO_SUCH_ORDER ALREADY_DONE",
    frozenset((Status.PHASE,)): "WRONG_PHASE MARKET_CLOSED CLOSED HALTED AUCTION CANCEL_ONLY "
    "NOT_IN_AUCTION SESSION TRADING_PHASE PHASE_REJECT",
    frozenset((Status.BELOW_CUM,)): "BELOW_EXECUTED TOTAL_BELOW_EXECUTED BELOW_FILLED",
    frozenset((Status.CANCEL_REQUEST,)): "CANCEL USER USER_REQUEST USER_REQUESTED REQUEST "
    "USER_CANCEL REQUESTED",
    frozenset((Status.ICEBERG_PARTS,)): "DISPLAY ICEBERG MAX_ICEBERG_PARTS",
    frozenset((Status.LOT, Status.MIN_QTY, Status.MAX_QTY, Status.BAD_FIELD)): "QTY QUANTITY "
    "ORDER_QTY QTY_FILTER",
    frozenset((Status.TICK, Status.PRICE_BAND, Status.BAD_FIELD)): "PRICE PX",
    frozenset((Status.BAD_FIELD, Status.BAD_COMBINATION)): "INVALID INVALID_QTY BAD_QTY ZERO_QTY "
    "INVALID_PRICE BAD_PRICE INVALID_ORDER BAD_ORDER NO_PRICE",
}


def _plain(word: str) -> str:
    return "".join(c for c in word.upper() if c.isalnum())


_MEANINGS: Final = {
    _plain(word): statuses for statuses, words in _WORDS.items() for word in words.split()
}
# Parts of names that are in too many of them to tell one from another.
_COMMON: Final = frozenset(
    re.findall(
        "[A-Z]+",
        "ORDER ORDERS LIMIT MARKET PRICE PX QTY QUANTITY BAD INVALID NO NOT THE OF MIN MAX ID IS "
        "IN WOULD SIZE UNKNOWN ACCOUNT INSTRUMENT CAPACITY STATE BELOW REMAINDER REQUEST CHANGE "
        "ONLY REJECT REJECTED EXPIRED CANCEL CANCELLED CANCELED USER IMMEDIATE ALREADY REST",
    )
)
_NAMES: Final = {_plain(status.name): status for status in Status}


def allowed_statuses(reason: Any) -> frozenset[Status]:
    """Return the statuses that a reason, or any one of a list of reasons, may mean.

    Raises
    ------
    ValueError
        A word that says nothing about any status.
    """
    words: Iterable[Any] = reason if isinstance(reason, list) else [reason]
    found: set[Status] = set()
    for word in words:
        meant = _meaning(str(word))
        if not meant:
            raise ValueError(f"the reason {word!r} is not understood")
        found |= meant
    return frozenset(found)


def _meaning(word: str) -> set[Status]:
    """Return what one word means: by itself, else by the telling parts it shares with our names."""
    plain = _plain(word)
    exact = {_NAMES[plain]} if plain in _NAMES else set()
    exact |= _MEANINGS.get(plain, frozenset())
    if exact:
        return exact
    parts = set(re.findall(r"[A-Z]+", word.upper())) - _COMMON
    found = {status for status in Status if parts & (set(status.name.split("_")) - _COMMON)}
    for statuses, words in _WORDS.items():
        if parts & (set(re.findall(r"[A-Z]+", words)) - _COMMON):
            found |= statuses
    return found
