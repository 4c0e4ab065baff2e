"""`tradecore order`: place or cancel one order and show what became of it."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
from typing import Any

from tradecore.catalog import Catalog
from tradecore.cli.parser import Commands, int_in, new_command
from tradecore.cli.screen import Screen
from tradecore.cli.words import short_text, status_name
from tradecore.errors import ConfigError
from tradecore_shells.cli.place import Found, add_place, find_place, needs

__all__ = ["add"]

_PLACE = """\
Sends one order to a running exchange and shows what became of it: RECEIVED when it is durable in
the log, then the engine's answer, then fills as they come for a moment (--wait). The order stays in
the market when the command ends. Exit code 1 if it was rejected."""


def add(commands: Commands) -> None:
    """Add the command and its actions to the parser."""
    parser = new_command(
        commands, "order", "place or cancel an order", "Orders on a running exchange."
    )
    parts = parser.add_subparsers(title="what to do", metavar="ACTION", required=True)
    for side in ("buy", "sell"):
        part = new_command(
            parts,
            side,
            f"{side} at a price, or at the market",
            _PLACE,
            f"  tradecore order {side} BTC-USD 0.01\n"
            f"  tradecore order {side} BTC-USD 0.01 --at 60000 --tif GTC\n"
            f"  tradecore order {side} ETH-PERP 1 --at 3000 --post-only",
        )
        part.add_argument("instrument", metavar="SYMBOL")
        part.add_argument("quantity", metavar="QTY", help="in units of the coin")
        part.add_argument("--at", metavar="PRICE", help="limit price; without: at the market")
        part.add_argument("--tif", choices=("GTC", "DAY", "IOC", "FOK"), help="time in force")
        part.add_argument("--post-only", action="store_true", help="reject instead of taking")
        part.add_argument("--reduce-only", action="store_true", help="only to close a position")
        _common(part)
        part.set_defaults(run=_place, side=side)
    part = new_command(
        parts,
        "cancel",
        "cancel an order",
        "Cancels an order by the id that placing it has shown. Exit code 1 if it cannot be.",
        "  tradecore order cancel 7654321098765",
    )
    part.add_argument("order_id", type=int_in(1, (1 << 63) - 1), metavar="ID")
    _common(part)
    part.set_defaults(run=_cancel)


def _common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--wait", type=float, default=1.0, metavar="S", help="how long to watch for fills (1)"
    )
    add_place(parser, account=True)


def _place(args: argparse.Namespace, screen: Screen) -> int:
    found = find_place(args)
    catalog = _catalog(found)
    account_id = needs(found.account_id)
    terms: dict[str, Any] = {
        "instrument": args.instrument,
        "side": args.side,
        "order_qty": args.quantity,
    }
    if args.post_only or args.reduce_only:
        terms |= {"post_only": args.post_only, "reduce_only": args.reduce_only}
    document = asyncio.run(_send(found, catalog, account_id, args, terms))
    screen.result(document)
    spec = catalog.instrument(args.instrument)
    screen.line(
        f"order {document['order_id']} of account {account_id}: RECEIVED at offset "
        f"{document['offset']}"
    )

    def lots(quantity: int) -> str:
        return short_text(spec.from_lots(quantity))

    for fill in document["fills"]:
        who = "maker" if fill["maker"] else "taker"
        px = short_text(spec.from_ticks(fill["px"]))
        screen.line(f"  fill  {lots(fill['qty'])} at {px} ({who})")
    reason = f" ({document['status']})" if document["status"] != "OK" else ""
    done, rest = lots(document["cum_qty"]), lots(document["leaves_qty"])
    screen.line(f"{document['state'].upper()}{reason}: {done} done, {rest} open")
    return int(document["state"] in ("rejected", "repeated"))


async def _send(
    found: Found, catalog: Catalog, account_id: int, args: argparse.Namespace, terms: dict[str, Any]
) -> dict[str, Any]:
    from tradecore_shells.client import connect

    async with connect(
        found.config.log.url,
        account_id=account_id,
        catalog=catalog,
        partition=found.config.log.partition,
        label="tradecore order",
        patience_s=5.0,
    ) as client:
        if args.at is None:
            terms["ord_type"] = "market"
            terms["px"] = await _protection(found, catalog, args)
        else:
            terms["px"] = args.at
        if args.tif:
            terms["tif"] = args.tif.lower()
        elif args.at is None:
            terms["tif"] = "ioc"
        order = await client.place(**terms)
        await asyncio.wait_for(order.answered(), 10.0)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(order.ended(), args.wait)
        return {
            "order_id": order.order_id,
            "offset": order.offset,
            "state": order.state,
            "status": status_name(int(order.status)),
            "order_qty": order.order_qty,
            "cum_qty": order.cum_qty,
            "leaves_qty": order.leaves_qty,
            "fills": [
                {"px": one.last_px, "qty": one.last_qty, "maker": one.is_maker, "ts_ns": one.ts_ns}
                for one in order.fills
            ],
        }


async def _protection(found: Found, catalog: Catalog, args: argparse.Namespace) -> str:
    """Return the worst price at which a market order may trade: 5 % through the last quote."""
    from tradecore_shells.plumbing.adapters import open_log
    from tradecore_shells.quotes import last_quote

    spec = catalog.instrument(args.instrument)
    log = open_log(found.config.log.url)
    try:
        quote = await last_quote(log, found.config.log.partition, spec.instrument_id)
    finally:
        await log.close()
    touch = None if quote is None else quote.ask_px if args.side == "buy" else quote.bid_px
    if not touch:
        raise ConfigError(
            f"nobody offers {args.instrument} to {args.side} from now; give a price with --at"
        )
    px = touch + touch // 20 if args.side == "buy" else touch - touch // 20
    return spec.from_ticks(px)


def _cancel(args: argparse.Namespace, screen: Screen) -> int:
    import numpy as np

    from tradecore.codes import EventKind

    found = find_place(args)
    account_id = needs(found.account_id)
    catalog = _catalog(found)

    async def send() -> tuple[int, int]:
        from tradecore.messages import CancelOrder
        from tradecore_shells.client import connect

        async with connect(
            found.config.log.url,
            account_id=account_id,
            catalog=catalog,
            partition=found.config.log.partition,
            patience_s=5.0,
        ) as client:
            message = CancelOrder(
                order_id=args.order_id, account_id=account_id, session_id=args.order_id >> 32
            )
            batch = await asyncio.wait_for(client.ask(message), 10.0)
            # Timers may have fired before the command, in the same record.
            kinds = batch.events["kind"]
            ours = batch.events["order_id"] == args.order_id
            event = batch.events[
                ours & np.isin(kinds, (EventKind.CANCELED, EventKind.CANCEL_REJECTED))
            ][-1]
            return int(event["kind"]), int(event["status"])

    kind, status = asyncio.run(send())
    done = kind == EventKind.CANCELED
    screen.result({"order_id": args.order_id, "canceled": done, "status": status_name(status)})
    screen.line(f"order {args.order_id}: {'CANCELED' if done else status_name(status)}")
    return int(not done)


def _catalog(found: Found) -> Catalog:
    from tradecore_shells.plumbing.catalogs import load_catalog

    return load_catalog(found.config.catalog.file)
