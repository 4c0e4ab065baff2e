"""One Apache Kafka broker (KRaft: no ZooKeeper), started from its jars on loopback.

server.properties beside this file is the template of its settings, pom.xml names the version. The
first start makes the data folder with Kafka's own storage tool (about a second); a start takes two
to five seconds, most of it the Java machine.
"""

from __future__ import annotations

import base64
import shutil
import struct
import subprocess
import uuid
from pathlib import Path
from string import Template

from services import install
from services.errors import ServiceError
from services.server import Server, ask, quiet
from tradecore_shells.plumbing.processes import ProcessRef, free_port, spawn

__all__ = ["Broker", "metadata_request", "properties"]

TEMPLATE = Path(__file__).with_name("server.properties")
# Forces every append to the disk before it is acknowledged: a milliseconds-long fsync a batch.
DURABLE = "log.flush.interval.messages=1"
# A tool that runs for a second should not spend it on compiling itself.
TOOL_OPTIONS = ("-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
METADATA, METADATA_VERSION = 3, 1


def properties(*, port: int, controller_port: int, data: Path, durable: bool = False) -> str:
    """Fill in the template of server.properties.

    Parameters
    ----------
    port, controller_port : int
        Loopback ports of clients and of the controller.
    data : Path
        Folder of the logs.
    durable : bool
        Flush every append to the disk; by default the page cache holds it.
    """
    return Template(TEMPLATE.read_text("ascii")).substitute(
        port=port,
        controller_port=controller_port,
        data=data,
        durability=DURABLE if durable else "# durable: no",
    )


def metadata_request() -> bytes:
    """Build Kafka's question "who is in the cluster?" without topics, framed for the wire.

    Size, api key, version, correlation id, client id, then an empty list of topics (protocol guide,
    Metadata version 1).
    """
    body = struct.pack(">hhih", METADATA, METADATA_VERSION, 1, -1) + struct.pack(">i", 0)
    return struct.pack(">i", len(body)) + body


class Broker(Server):
    """A broker in a folder.

    Parameters
    ----------
    folder, port, say
        As for every server.
    durable : bool
        Flush every append before acknowledging it; needed only when the machine may lose power, a
        SIGKILL of the broker loses nothing that was acknowledged.
    heap_mb : int
        Memory of the Java machine.
    """

    name = "kafka"

    def __init__(
        self,
        folder: Path,
        *,
        port: int = 0,
        durable: bool = False,
        heap_mb: int = 512,
        say: install.Say = quiet,
    ) -> None:
        super().__init__(folder, port=port, say=say)
        self.durable = durable
        self.heap_mb = heap_mb

    @property
    def url(self) -> str:
        """Bootstrap server, HOST:PORT."""
        return f"127.0.0.1:{self.port}"

    def launch(self) -> ProcessRef:
        """Format the data folder when it is new, write the settings, start the Java machine."""
        java = install.java(self.say)
        classes = f"{install.kafka_jars(self.say)}/*"
        data = self.folder / "data"
        controller = free_port()
        if not data.exists():
            self._format(java, classes, data, controller)
        settings = self.folder / "server.properties"
        text = properties(
            port=self.port, controller_port=controller, data=data, durable=self.durable
        )
        settings.write_text(text, "utf-8")
        argv = [
            str(java),
            f"-Xms{self.heap_mb // 2}m",
            f"-Xmx{self.heap_mb}m",
            "-XX:+UseG1GC",
            "-XX:MaxGCPauseMillis=20",
            "-XX:+ExitOnOutOfMemoryError",
            "-Djava.awt.headless=true",
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
            "-Dorg.slf4j.simpleLogger.showDateTime=true",
            *("-cp", classes, "kafka.Kafka", str(settings)),
        ]
        return spawn(argv, log=self.log)

    def _format(self, java: Path, classes: str, data: Path, controller: int) -> None:
        """Make the data folder aside, then give it its name: half a folder is never started."""
        staging = self.folder / "data.new"
        shutil.rmtree(staging, ignore_errors=True)
        settings = self.folder / "format.properties"
        text = properties(port=self.port, controller_port=controller, data=staging)
        settings.write_text(text, "utf-8")
        # Kafka's spelling of a UUID. One that begins with a dash would be read as an option.
        cluster = base64.urlsafe_b64encode(b"\0" + uuid.uuid4().bytes[1:]).decode("ascii")[:22]
        tool = ["kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(settings)]
        done = subprocess.run(
            [str(java), *TOOL_OPTIONS, "-cp", classes, *tool],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        if done.returncode != 0 or not (staging / "meta.properties").exists():
            said = (done.stderr.strip() or done.stdout.strip()).splitlines()
            raise ServiceError(
                f"Kafka could not make its data folder {data}: {said[-1] if said else 'no reason'}"
            )
        staging.replace(data)

    def answers(self) -> bool:
        """Ask who is in the cluster: a broker names itself only when it is ready to lead."""
        answer = ask(self.port, metadata_request())
        # Size, correlation id, number of brokers.
        return len(answer) >= 12 and struct.unpack(">i", answer[8:12])[0] >= 1
