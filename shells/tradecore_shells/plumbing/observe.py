"""Metrics, health and structured logs.

Nothing here runs per command: services observe once a batch. Prometheus metrics through
prometheus_client, pages through aiohttp, both imported only when a port is asked for, so that the
simulator and the tests of services need neither.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable
from typing import Any, Final, Protocol

from tradecore.errors import ConfigError
from tradecore_shells.plumbing.config import ObserveSettings

__all__ = ["Metrics", "MetricsPort", "NoMetrics", "Pages", "event", "set_up_logs"]

_SECONDS: Final = (
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
)  # fmt: skip


class MetricsPort(Protocol):
    """What services say about themselves. Names without the prefix ``tradecore_``."""

    def count(self, name: str, amount: float = 1, **labels: str) -> None:
        """Add to a counter."""

    def set(self, name: str, value: float, **labels: str) -> None:
        """Set a gauge."""

    def observe(self, name: str, seconds: float, **labels: str) -> None:
        """Add one duration to a histogram."""


class NoMetrics:
    """Metrics that nobody reads."""

    def count(self, name: str, amount: float = 1, **labels: str) -> None:
        """Do nothing."""

    def set(self, name: str, value: float, **labels: str) -> None:
        """Do nothing."""

    def observe(self, name: str, seconds: float, **labels: str) -> None:
        """Do nothing."""


_HELP: Final = {
    "records_total": "Log records read or written.",
    "commands_total": "Commands applied by the engine.",
    "events_total": "Events the engine answered with.",
    "lag_records": "Records of the partition that were not read yet.",
    "lag_seconds": "Age of the newest record that was read, by the log's clock.",
    "apply_seconds": "One call of the engine: a fetched batch.",
    "commit_seconds": "One durable write: a log append or a database statement.",
    "log_to_output_seconds": "From the log's time of a command to its outputs being durable.",
    "snapshot_seconds": "Writing and publishing one snapshot.",
    "snapshot_pause_seconds": "How long the cell stood still for a snapshot.",
    "snapshot_offset": "Offset of the newest published snapshot.",
    "state": "1 for the state that the service is in, 0 for the others.",
    "dead_letters_total": "Records that could not be read.",
    "duplicates_total": "Repetitions that were dropped.",
    "queue_bytes": "Bytes that wait to be written.",
    "portfolio_fill_rows_total": "Rows written into fills.",
    "risk_var": "Historical value at risk, reporting asset.",
    "risk_es": "Historical expected shortfall, reporting asset.",
    "risk_gross": "Sum of what positions are worth, reporting asset.",
    "risk_net": "What positions are worth together, reporting asset.",
    "risk_profit": "All that was made by trading, reporting asset.",
    "risk_commands_total": "Commands that risk sent.",
}


class Metrics:
    """Prometheus metrics of one process, made at their first use.

    Parameters
    ----------
    service : str
        Constant label of everything.
    """

    def __init__(self, service: str) -> None:
        import prometheus_client

        self._client = prometheus_client
        self.registry = prometheus_client.CollectorRegistry(auto_describe=False)
        self._service = service
        self._made: dict[str, Any] = {}

    def _metric(self, kind: str, name: str, labels: dict[str, str]) -> Any:
        made = self._made.get(name)
        if made is None:
            names = ("service", *sorted(labels))
            text = _HELP.get(name, name.replace("_", " "))
            options = {"buckets": _SECONDS} if kind == "Histogram" else {}
            made = getattr(self._client, kind)(
                f"tradecore_{name}", text, names, registry=self.registry, **options
            )
            self._made[name] = made
        return made.labels(service=self._service, **labels)

    def count(self, name: str, amount: float = 1, **labels: str) -> None:
        """Add to a counter."""
        self._metric("Counter", name, labels).inc(amount)

    def set(self, name: str, value: float, **labels: str) -> None:
        """Set a gauge."""
        self._metric("Gauge", name, labels).set(value)

    def observe(self, name: str, seconds: float, **labels: str) -> None:
        """Add one duration to a histogram."""
        self._metric("Histogram", name, labels).observe(seconds)

    def text(self) -> bytes:
        """Return the page of /metrics."""
        page: bytes = self._client.generate_latest(self.registry)
        return page


class Pages:
    """`/metrics`, `/healthz` and `/readyz` on one loopback port.

    Parameters
    ----------
    settings : ObserveSettings
    metrics : Metrics
    healthy, ready : callable
        Return an empty string when all is well, else what is not.
    """

    def __init__(
        self,
        settings: ObserveSettings,
        metrics: Metrics,
        *,
        healthy: Callable[[], str],
        ready: Callable[[], str],
    ) -> None:
        self._settings = settings
        self._metrics = metrics
        self._checks = {"/healthz": healthy, "/readyz": ready}
        self._runner: Any = None
        self.port = settings.port

    async def start(self) -> None:
        """Begin to serve. Raises ConfigError when the port is taken."""
        from aiohttp import web

        async def metrics(_: Any) -> Any:
            return web.Response(body=self._metrics.text(), content_type="text/plain")

        async def check(request: Any) -> Any:
            reason = self._checks[request.path]()
            return web.Response(text=f"{reason or 'ok'}\n", status=503 if reason else 200)

        app = web.Application()
        app.router.add_get("/metrics", metrics)
        for path in self._checks:
            app.router.add_get(path, check)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        host, port = self._settings.host, self._settings.port
        try:
            await web.TCPSite(self._runner, host, port).start()
        except OSError as error:
            await self._runner.cleanup()
            raise ConfigError(
                f"port {port} of {host} cannot be used: {error.strerror}; choose another in "
                "[observe] port, or 0 for none"
            ) from None

    async def stop(self) -> None:
        """End serving."""
        if self._runner is not None:
            await self._runner.cleanup()


class _JsonFormatter(logging.Formatter):
    """One JSON object a line; text of outsiders is data in it, never structure."""

    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "ts": f"{record.created:.6f}",
            "level": record.levelname.lower(),
            "service": self._service,
            "event": record.getMessage(),
        }
        line.update(getattr(record, "fields", {}))
        if record.exc_info and record.exc_info[0] is not None:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def set_up_logs(service: str, level: str, stream: Any = None) -> None:
    """Send this process's logs to standard error as JSON lines."""
    number = logging.getLevelNamesMapping().get(level.upper())
    if number is None:
        raise ConfigError(f"[observe] log_level {level!r}: debug, info, warning or error")
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(_JsonFormatter(service))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(number)
    # What a client library calls an error is a reason to try again here; who gives up says so.
    for chatty, least in (("aiokafka", logging.CRITICAL), ("asyncio", logging.WARNING)):
        logging.getLogger(chatty).setLevel(max(number, least))


def event(logger: logging.Logger, name: str, *, level: int = logging.INFO, **fields: Any) -> None:
    """Log what happened, with its facts as fields."""
    logger.log(level, name, extra={"fields": fields})
