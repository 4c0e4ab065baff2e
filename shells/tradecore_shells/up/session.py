"""One run of `tradecore up`: what is shown, when it ends, what is proven at the end."""

from __future__ import annotations

import asyncio
from typing import Any

from tradecore.cli.screen import Screen
from tradecore.codes import FillFlag
from tradecore_shells.plumbing.observe import Metrics
from tradecore_shells.plumbing.runtime import Application
from tradecore_shells.portfolio.config import equity_asset_of
from tradecore_shells.portfolio.reconcile import reconcile
from tradecore_shells.up.bold import go_bold
from tradecore_shells.up.exchange import Exchange, UpOptions, open_exchange
from tradecore_shells.up.status import Status, status_line
from tradecore_shells.view import ExchangeView
from tradecore_shells.watch import Watch

__all__ = ["UpSession"]

_LINE_EVERY_S = 5.0
_DRAW_EVERY_S = 0.25


class UpSession:
    """Builds the exchange, shows it, and concludes.

    Parameters
    ----------
    options : UpOptions
    screen : Screen
    seconds, shock : float, optional
        When to end, and when to let bad news out.
    """

    name = "view"

    def __init__(
        self, options: UpOptions, screen: Screen, *, seconds: float | None, shock: float | None
    ) -> None:
        self._options = options
        self._screen = screen
        self._seconds = seconds
        self._shock = shock
        self._stopping = asyncio.Event()
        self._exchange: Exchange | None = None
        self._document: dict[str, Any] = {}
        self._clean = False

    async def build(self, metrics: Metrics) -> Application:
        """Open the exchange, with this object as one more service: it goes first when all end."""
        self._exchange = exchange = await open_exchange(self._options, metrics)
        inner = exchange.application
        return Application([self, *inner.services], [self._prove, *inner.closers])

    def stop(self) -> None:
        """Show nothing more."""
        self._stopping.set()

    def trouble(self) -> str:
        """Return nothing: a view is never in the way."""
        return ""

    async def run(self) -> None:
        """Show the exchange until stopped, or until its time is over."""
        exchange = self._exchange
        assert exchange is not None
        await self._until_ready(exchange)
        place, data = exchange.place, self._options.data
        resumed = exchange.resumed_at
        self._screen.line(
            f"exchange in {data}: {len(exchange.catalog.instruments)} instruments, "
            f"{place.accounts:,} participants, your account is {place.own_account}"
        )
        if resumed:
            self._screen.line(f"resumed at log offset {resumed:,}")
        symbol = exchange.catalog.instruments[0].symbol
        at = "" if data == "data" else f" --data {data}"
        self._screen.line(f"try: tradecore order buy {symbol} 0.01{at}   tradecore positions{at}")
        ends = [self._timer(self._seconds), asyncio.create_task(self._stopping.wait())]
        if self._shock is not None:
            ends.append(asyncio.create_task(self._shock_later(exchange, self._shock)))
        show = self._draw if self._screen.is_rich else self._print
        showing = asyncio.create_task(show(exchange))
        try:
            await asyncio.wait([*ends[:2], showing], return_when=asyncio.FIRST_COMPLETED)
            if showing.done():
                showing.result()
        finally:
            for task in (*ends, showing):
                task.cancel()
            await asyncio.gather(*ends, showing, return_exceptions=True)

    async def _until_ready(self, exchange: Exchange) -> None:
        ready = asyncio.create_task(exchange.ready())
        stop = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait([ready, stop], return_when=asyncio.FIRST_COMPLETED)
        finally:
            ready.cancel()
            stop.cancel()
            await asyncio.gather(ready, stop, return_exceptions=True)

    def _timer(self, seconds: float | None) -> asyncio.Task[Any]:
        async def wait() -> None:
            await (asyncio.sleep(seconds) if seconds is not None else asyncio.Event().wait())

        return asyncio.create_task(wait())

    async def _shock_later(self, exchange: Exchange, seconds: float) -> None:
        await asyncio.sleep(seconds)
        perpetual = next(
            one for one in exchange.catalog.instruments if one.instrument_type == "linear"
        )
        bought = await go_bold(exchange.demo.spec, exchange.log, exchange.catalog, perpetual)
        self._screen.line(bought)
        self._screen.line(f"price shock: {perpetual.symbol} is marked 30 % lower")
        exchange.demo.participants.shock()
        exchange.risk.price_shock(perpetual.instrument_id, -300_000)

    async def _print(self, exchange: Exchange) -> None:
        before = Status.of(exchange)
        while True:
            await asyncio.sleep(_LINE_EVERY_S)
            now = Status.of(exchange)
            self._screen.line(status_line(before, now))
            before = now

    async def _draw(self, exchange: Exchange) -> None:
        async def written() -> int:
            return exchange.portfolio.writer.place.next_seq

        watch = Watch(exchange.log, partition=exchange.trading.partition, written=written)
        watching = asyncio.create_task(watch.run())
        loop = asyncio.get_running_loop()
        title = f"tradecore up, {self._options.data}: Ctrl-C ends it"
        try:
            with ExchangeView(self._screen.console, watch, exchange.catalog, title) as view:
                while not watching.done():
                    view.show(loop.time())
                    await asyncio.sleep(_DRAW_EVERY_S)
            watching.result()
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)

    # ------------------------------------------------------------------------------ at the end
    async def _prove(self) -> None:
        """Audit the engine and reconcile log, database and cache, now that all is quiet."""
        exchange = self._exchange
        assert exchange is not None
        cell = exchange.trading.cell
        if cell is None:
            return
        cell.engine.check()
        findings = await reconcile(
            exchange.portfolio_settings,
            exchange.catalog,
            equity_asset_of(exchange.portfolio_settings, exchange.catalog),
            partition=exchange.trading.partition,
            log=exchange.log,
            store=exchange.store,
            cache=exchange.cache,
        )
        (fills,) = await exchange.store.read("fills", cell=exchange.trading.partition)
        forced = fills[(fills["flags"] & (FillFlag.LIQUIDATION | FillFlag.ADL)) != 0]
        status = Status.of(exchange)
        self._clean = not findings.differences
        self._document = {
            "commands": status.commands,
            "events": status.events,
            "log_offset": status.offset,
            "portfolio_lag": status.lag,
            "forced_fills": len(forced) // 2,
            "closed_accounts": len(set(forced["account_id"].tolist())),
            "state_hash": cell.state_hash(),
            "rows": findings.rows,
            "differences": [str(one) for one in findings.differences[:50]],
        }

    def conclude(self, code: int) -> int:
        """Print what was proven; the exit code."""
        found = self._document
        if not found:
            return code
        self._screen.result(found)
        self._screen.line(
            f"\n{found['commands']:,} commands, {found['events']:,} event frames, log offset "
            f"{found['log_offset']:,}"
        )
        if found["forced_fills"]:
            self._screen.line(
                f"forced closures so far: {found['forced_fills']:,} fills, "
                f"{found['closed_accounts']:,} accounts on either side"
            )
        rows = ", ".join(f"{count:,} {name}" for name, count in found["rows"].items())
        verdict = "log = Postgres = cache" if self._clean else "DIFFERENCES"
        self._screen.line(f"audit: conservation ok, holds ok, state {found['state_hash']}")
        self._screen.line(f"reconciled: {verdict} ({rows})")
        for one in found["differences"]:
            self._screen.line(f"  {one}")
        return code or int(not self._clean)
