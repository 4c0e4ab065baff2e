"""`tradecore admin`: make the topics of an exchange, and see how far a log has got."""

from __future__ import annotations

import argparse
from typing import Any

import msgspec

from tradecore.cli.parser import Commands, int_in, new_command
from tradecore.cli.screen import Screen
from tradecore.errors import ConfigError

__all__ = ["add"]

_TOPICS = """\
Make the topics of an exchange on Apache Kafka, with the settings that the services rely on: the
broker's own time stamps, no unclean election, room for large records, retention. Topics that exist
are compared and never changed; the exit code is 1 when one differs."""

_STATUS = """\
Show every topic and partition of a log: first and next offset, and how old its newest record is."""


def add(commands: Commands) -> None:
    """Add the command and its sub-commands to the parser."""
    parser = new_command(
        commands,
        "admin",
        "topics on Kafka, state of a log",
        "What an operator does around the services.",
    )
    parts = parser.add_subparsers(title="what to do", metavar="ACTION", required=True)
    _add_topics(parts)
    _add_status(parts)


def _add_topics(parts: Commands) -> None:
    parser = new_command(
        parts,
        "topics",
        "make and compare the topics",
        _TOPICS,
        "  tradecore admin topics --kafka 127.0.0.1:9092\n"
        "  tradecore admin topics --config tradecore.toml\n"
        "  tradecore admin topics --kafka broker1:9092 --partitions 8 --replicas 3",
    )
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--kafka", metavar="HOST:PORT", help="a broker")
    where.add_argument(
        "--config", metavar="FILE", help="the settings of the services; [log] url names the broker"
    )
    parser.add_argument(
        "--partitions", type=int_in(1, 10_000), default=1, metavar="N", help="cells (default 1)"
    )
    parser.add_argument(
        "--replicas",
        type=int_in(1, 9),
        default=1,
        metavar="N",
        help="brokers that hold a record (default 1); from 3 on two must before it is acknowledged",
    )
    parser.add_argument(
        "--retention-days",
        type=int_in(1, 36_500),
        default=7,
        metavar="N",
        help="how long commands and executions are kept (default 7)",
    )
    parser.add_argument("--prefix", default="", metavar="TEXT", help="before every topic's name")
    parser.set_defaults(run=_topics)


def _add_status(parts: Commands) -> None:
    parser = new_command(
        parts,
        "status",
        "how far a log has got",
        _STATUS,
        "  tradecore admin status unix:data/log.sock\n"
        "  tradecore admin status kafka://127.0.0.1:9092",
    )
    parser.add_argument(
        "url", metavar="URL", help="unix:PATH, tcp://127.0.0.1:PORT, kafka://HOST:PORT, file:FOLDER"
    )
    parser.set_defaults(run=_status)


def _broker(args: argparse.Namespace) -> str:
    """Return HOST:PORT of the broker that the options name."""
    if args.kafka:
        return str(args.kafka)
    from tradecore_shells.plumbing.config import load_settings
    from tradecore_shells.portfolio.config import PortfolioConfig

    url = load_settings(PortfolioConfig, args.config).log.url
    if not url.startswith("kafka://"):
        raise ConfigError(
            f"{args.config}: [log] url is {url!r}: only topics on Kafka have to be made, an "
            "embedded log makes its own when they are first used"
        )
    return url.removeprefix("kafka://")


def _topics(args: argparse.Namespace, screen: Screen) -> int:
    import asyncio

    from tradecore_shells.admin.topics import create_topics, plan_topics

    broker = _broker(args)
    plans = plan_topics(
        args.partitions,
        replicas=args.replicas,
        retention_days=args.retention_days,
        prefix=args.prefix,
    )
    found = asyncio.run(create_topics(broker, plans))
    screen.result({"kafka": broker, "topics": [msgspec.to_builtins(each) for each in found]})
    for each in found:
        if each.created:
            screen.line(f"made     {each.name}: {args.partitions} partitions")
        elif each.differences:
            screen.line(f"DIFFERS  {each.name}: {'; '.join(each.differences)}")
        else:
            screen.line(f"ok       {each.name}")
    return int(any(each.differences for each in found))


def _status(args: argparse.Namespace, screen: Screen) -> int:
    import asyncio

    from tradecore_shells.admin.status import look

    places = asyncio.run(look(args.url))
    documents: list[dict[str, Any]] = [msgspec.to_builtins(each) for each in places]
    screen.result({"log": args.url, "partitions": documents})
    screen.heading(f"{args.url}: {len(places)} partitions")
    screen.table(
        ("topic", "partition", "start", "end", "newest"),
        [
            (
                each.topic,
                str(each.partition),
                f"{each.start:,}",
                f"{each.end:,}",
                "-" if each.age_s is None else f"{each.age_s:,.1f} s ago",
            )
            for each in places
        ],
    )
    return 0
