"""What should have come out: the log of commands through a new cell, from its first record."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tradecore.cell import Cell
from tradecore.envelope import decode
from tradecore.errors import EngineFault
from tradecore.testing.cell_oracle import NaiveCell
from tradecore.testing.oracle import OracleEngine
from tradecore_shells.plumbing.ports import (
    EXECUTIONS,
    MARKET_DATA,
    TRADING_COMMANDS,
    Record,
    dead_letters,
)

if TYPE_CHECKING:
    from tradecore_shells.sim.world import World

__all__ = ["Replay"]

_FRAME = 64


class _NaiveEngine(OracleEngine):
    """The oracle where a naive cell expects an engine; it is asked for events only."""

    def depth(self, instrument_id: int, side: int, most: int) -> list[tuple[int, int, int]]:
        """Return no levels: market data is compared between real cells."""
        return []


class Replay:
    """A run of the whole log of commands, and comparisons with it.

    Parameters
    ----------
    world : World
        Finished.

    Attributes
    ----------
    executions, market : list of bytes
        Frames by number, from 1.
    needed : dict
        How many frames of each topic must be there after draining.
    wallets : dict
        (account, asset) to cash, at that moment.
    """

    def __init__(self, world: World) -> None:
        self._records = [
            Record(offset, ts_ns, memoryview(payload))
            for offset, (ts_ns, payload) in enumerate(
                world.broker.partition(TRADING_COMMANDS, world.partition).all
            )
        ]
        self.executions: list[bytes] = []
        self.market: list[bytes] = []
        self.needed = {EXECUTIONS: 0, MARKET_DATA: 0}
        self.wallets: dict[tuple[int, int], int] = {}
        self._hashes: dict[int, str] = {}
        self.cell = Cell(world.config, cell_id=world.partition)
        wanted = {offset for offset, _, _ in world.states()}
        self._letters: list[int] = []
        for record in self._records:
            if record.offset == world.drained_to:
                self._take_stock(world)
            output = self.cell.apply_many([record])
            self.executions += _frames(output.executions(self.cell))
            self.market += _frames(output.market(self.cell))
            self._letters += [letter.offset for letter in output.dead_letters]
            if self.cell.next_offset in wanted:
                self._hashes[self.cell.next_offset] = self.cell.state_hash()
        if world.drained_to == len(self._records):
            self._take_stock(world)

    def _take_stock(self, world: World) -> None:
        """Note what must be there when the primary has drained."""
        self.needed = {EXECUTIONS: len(self.executions), MARKET_DATA: len(self.market)}
        assert world.operator is not None
        self.wallets = {
            (account, wallet.asset_id): wallet.total
            for account in (*world.operator.accounts, world.operator.insurance)
            for wallet in self.cell.engine.account(account).wallets
        }

    def hashes(self, world: World) -> list[str]:
        """Judge O1: every state that anybody was in equals that of the replay at its offset."""
        wrong = []
        for offset, found, where in world.states():
            expected = self._hashes.get(offset, "beyond the end of the log")
            if found != expected:
                wrong.append(
                    f"O1 {where} at offset {offset}: state {found[:16]}, "
                    f"a replay has {expected[:16]}"
                )
        return wrong[:3]

    def dead_letters(self, world: World) -> list[str]:
        """Judge that every record nobody could read has a copy among the dead letters."""
        topic = dead_letters(TRADING_COMMANDS)
        kept = len(world.broker.partition(topic, world.partition).all)
        return (
            [f"{len(self._letters)} unreadable records, {kept} dead letters"]
            if kept < len(self._letters)
            else []
        )

    def conserved(self) -> list[str]:
        """Judge O3 and O4: nothing is made or lost, holds and books fit the orders."""
        try:
            self.cell.engine.check()
        except EngineFault as fault:
            return [f"O3 {fault}"]
        return []

    def naive(self, world: World) -> list[str]:
        """Judge O7: the naive cell around the naive engine says the same, frame for frame."""
        cell = NaiveCell(world.config)
        cell.engine = _NaiveEngine(world.config.engine)  # type: ignore[assignment]
        said = b"".join(
            cell.apply(record.offset, record.ts_ns, bytes(record.payload))[0]
            for record in self._records
        )
        expected = b"".join(self.executions)
        if said == expected:
            return []
        for at in range(0, max(len(said), len(expected)), _FRAME):
            if (have := expected[at : at + _FRAME]) != (want := said[at : at + _FRAME]):
                return [f"O7 frame {at // _FRAME + 1} is {have.hex()}, the rules say {want.hex()}"]
        return []


def _frames(payloads: list[bytes]) -> list[bytes]:
    frames = b"".join(bytes(decode(payload).frames) for payload in payloads)
    return [frames[at : at + _FRAME] for at in range(0, len(frames), _FRAME)]
