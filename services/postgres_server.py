"""One PostgreSQL on loopback: the embedded cluster of the services, with a port.

Making, starting and recovering a cluster is `tradecore_shells.plumbing.cluster`; here it only gets
the face of the other servers, and its programs from apt or a wheel where the system has none.
"""

from __future__ import annotations

import signal
import struct

from services import install
from services.errors import ServiceError
from services.server import Server, ask
from tradecore_shells.plumbing.cluster import USER, ClusterError, EmbeddedPostgres
from tradecore_shells.plumbing.processes import ProcessRef

__all__ = ["PostgresServer"]

# "May I speak TLS?", the one question that is answered before a password is asked for.
SSL_REQUEST = struct.pack(">ii", 8, 80877103)


class PostgresServer(Server):
    """A cluster in a folder; fsync and synchronous commits are on."""

    name = "postgres"
    stop_signal = signal.SIGINT  # SIGTERM would wait until the last client has gone

    @property
    def url(self) -> str:
        """DSN of the database `tradecore` on the loopback port; its user may make others."""
        password = EmbeddedPostgres(self.folder).password
        return f"postgresql://{USER}:{password}@127.0.0.1:{self.port}/{USER}"

    def launch(self) -> ProcessRef:
        """Start the cluster; it is ready when this returns."""
        programs = install.postgres_folder(self.say)
        cluster = EmbeddedPostgres(self.folder, port=self.port, bin_dir=programs)
        try:
            cluster.start()
        except ClusterError as error:
            raise ServiceError(str(error)) from error
        return cluster.process

    def answers(self) -> bool:
        """Ask whether it speaks TLS: yes or no, both are answers."""
        return ask(self.port, SSL_REQUEST) in {b"N", b"S"}

    def stop_immediately(self, timeout_s: float = 20.0) -> None:
        """End it without a checkpoint (`pg_ctl stop -m immediate`); the next start recovers."""
        if self.alive():
            assert self.process is not None
            self.process.stop(timeout_s, signal.SIGQUIT)
        self._gone()
