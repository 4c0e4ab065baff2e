"""The loop of the simulator: time jumps, the dead are silent, the paused come back."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from tradecore_shells.sim.loop import Killed, Process, SimLoop, Stuck


def play(main: Any, *args: Any) -> Any:
    loop = SimLoop(1)
    try:
        return loop.run_until_complete(main(loop, *args))
    finally:
        loop.bury()
        loop.close()


def test_time_jumps_to_the_next_timer() -> None:
    async def main(loop: SimLoop) -> list[float]:
        moments = []
        for pause in (3600.0, 0.25):
            await asyncio.sleep(pause)
            moments.append(loop.time())
        return moments

    assert play(main) == [3600.0, 3600.25]


def test_killed_process_runs_no_finally_and_no_except() -> None:
    said: list[str] = []

    async def program() -> None:
        try:
            said.append("begun")
            await asyncio.sleep(10)
            said.append("slept")
        except BaseException:
            said.append("caught")
            raise
        finally:
            said.append("finally")

    async def main(loop: SimLoop) -> list[str]:
        process = Process("p")
        loop.spawn(process, program())
        await asyncio.sleep(1)
        loop.kill(process)
        await asyncio.sleep(100)
        return list(said)

    assert play(main) == ["begun"]


def test_kill_reaches_the_tasks_that_a_process_has_made() -> None:
    beats: list[float] = []

    async def beat() -> None:
        while True:
            await asyncio.sleep(1)
            beats.append(asyncio.get_running_loop().time())

    async def program() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(beat())
            group.create_task(asyncio.to_thread(beats.append, -1.0))

    async def main(loop: SimLoop) -> list[float]:
        process = Process("p")
        loop.spawn(process, program())
        await asyncio.sleep(2.5)
        loop.kill(process)
        await asyncio.sleep(10)
        return beats

    assert play(main) == [-1.0, 1.0, 2.0]


def test_paused_process_finds_its_callbacks_in_order_when_it_goes_on() -> None:
    moments: list[tuple[str, float]] = []

    async def program(name: str, pause: float) -> None:
        await asyncio.sleep(pause)
        moments.append((name, asyncio.get_running_loop().time()))

    async def both() -> None:
        await asyncio.gather(program("first", 1.0), program("second", 2.0))

    async def main(loop: SimLoop) -> list[tuple[str, float]]:
        process = Process("p")
        loop.spawn(process, both())
        await asyncio.sleep(0.5)
        loop.pause(process)
        await asyncio.sleep(9.5)
        loop.resume(process)
        await asyncio.sleep(1)
        return moments

    assert play(main) == [("first", 10.0), ("second", 10.0)]


def test_work_in_a_thread_of_a_dead_process_does_not_happen() -> None:
    done: list[int] = []

    async def program() -> None:
        for number in range(1000):
            await asyncio.to_thread(done.append, number)

    async def main(loop: SimLoop) -> int:
        process = Process("p")
        loop.spawn(process, program())
        await asyncio.sleep(0.05)
        loop.kill(process)
        at_death = len(done)
        await asyncio.sleep(10)
        assert 0 < at_death < 1000
        return len(done) - at_death

    assert play(main) == 0


def test_error_of_a_thread_reaches_its_caller() -> None:
    def fail() -> None:
        raise OSError(5, "no")

    async def main(loop: SimLoop) -> None:
        await asyncio.to_thread(fail)

    with pytest.raises(OSError, match="no"):
        play(main)


def test_dead_process_cannot_use_its_ports() -> None:
    process = Process("p")
    process.check()
    SimLoop().kill(process)
    with pytest.raises(Killed):
        process.check()


def test_world_in_which_nothing_is_left_to_happen_is_stuck() -> None:
    async def main(loop: SimLoop) -> None:
        await loop.create_future()

    with pytest.raises(Stuck, match="nothing is left"):
        play(main)


def test_program_that_spins_is_stuck() -> None:
    async def main(loop: SimLoop) -> None:
        loop.call_soon(spin, loop)
        await asyncio.sleep(1)

    def spin(loop: SimLoop) -> None:
        loop.call_soon(spin, loop)

    with pytest.raises(Stuck, match="spins"):
        play(main)


def test_sets_of_tasks_are_walked_in_the_order_of_their_numbers() -> None:
    async def nothing() -> None:
        await asyncio.sleep(1)

    async def main(loop: SimLoop) -> list[int]:
        waiting: list[Coroutine[Any, Any, None]] = [nothing() for _ in range(5)]
        tasks = [asyncio.create_task(one) for one in waiting]
        done, _ = await asyncio.wait(set(tasks))
        return [tasks.index(task) for task in done]

    assert play(main) == play(main)
