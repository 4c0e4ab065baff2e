"""Command line of the servers: `python -m services up | down | status | wipe`.

Prints one line a server: name, address, process, log. Exit code 0 when it is as asked, 1 when a
server cannot be had (with the sentence on standard error), 2 for a wrong command.
"""

from __future__ import annotations

import argparse
import sys
import time

from services.errors import ServiceError
from services.server import Server
from services.stack import Stack
from tradecore_shells.plumbing.cluster import ClusterError


def _say(text: str) -> None:
    print(f"services: {text}", file=sys.stderr, flush=True)


def _line(server: Server, state: str) -> str:
    pid = server.process.pid if server.process else "-"
    url = server.url.replace(server.url.partition("@")[0], "postgresql://tradecore:***")
    shown = url if "@" in server.url else server.url
    return f"{server.name:<9} {state:<9} {shown:<58} pid {pid:<8} log {server.log}"


def _up(stack: Stack) -> int:
    begin = time.monotonic()
    with stack.locked():
        stack.up("up")
        for server, _ in stack.status().values():
            print(_line(server, "running"))
    print(f"ready after {time.monotonic() - begin:.1f} s; addresses: {stack.state_file}")
    return 0


def _down(stack: Stack) -> int:
    with stack.locked():
        stopped = stack.down()
    print(f"stopped: {', '.join(stopped)}" if stopped else "nothing was running")
    return 0


def _status(stack: Stack) -> int:
    known = stack.status()
    for server, answers in known.values():
        print(_line(server, "running" if answers else "silent" if server.alive() else "gone"))
    if not known:
        print("nothing is running: make services-up")
    return 0 if known and all(answers for _, answers in known.values()) else 1


def _wipe(stack: Stack) -> int:
    with stack.locked():
        stack.wipe()
    print("stopped, and the data removed")
    return 0


COMMANDS = {"up": _up, "down": _down, "status": _status, "wipe": _wipe}


def main(argv: list[str] | None = None) -> int:
    """Run one command; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m services", description=__doc__)
    parser.add_argument("command", choices=sorted(COMMANDS))
    arguments = parser.parse_args(argv)
    try:
        return COMMANDS[arguments.command](Stack(say=_say))
    except (ServiceError, ClusterError) as error:
        _say(str(error))
        return 1


if __name__ == "__main__":
    sys.exit(main())
