"""What load can be put on, by name: here the engine and the engine behind a durable journal.

Services are targets too, but this library starts none: they register themselves under the entry
point group ``tradecore.targets``, or are named as ``module:function``. An entry is a function that
takes a `TargetSpec` and returns a context manager whose value is a `tradecore.bench.load.Target`.
A target may also have ``state_hash() -> str``; runs of one input must then agree on it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from tradecore.bench.inputs import Frames, Input
from tradecore.bench.load import Target
from tradecore.engine import Engine
from tradecore.errors import ConfigError
from tradecore.storage import FileJournal

__all__ = [
    "GROUP",
    "EngineTarget",
    "JournalTarget",
    "OpenTarget",
    "TargetSpec",
    "find_target",
    "is_own",
    "open_target",
    "target_names",
]

GROUP: Final = "tradecore.targets"
"""Entry point group of targets that other packages bring."""

# Where they are looked for in a checkout that is not installed, which has no entry points.
_SHELLS: Final = ("embedded", "embedded-postgres", "kafka", "kafka-postgres")
_CHECKOUT: Final = {name: f"tradecore_shells.targets:{name.replace('-', '_')}" for name in _SHELLS}


@dataclass(frozen=True)
class TargetSpec:
    """What a target is opened with.

    Parameters
    ----------
    work : Input
        Venue and commands; a target applies ``work.setup`` itself, before it is handed out.
    folder : Path or None
        Where files may be written; None: a temporary folder.
    options : dict of str to str
        What a service needs beside: addresses, configuration files.
    """

    work: Input
    folder: Path | None = None
    options: dict[str, str] = field(default_factory=dict)


OpenTarget = Callable[[TargetSpec], AbstractContextManager[Target]]


class EngineTarget:
    """`Engine.apply` in this process: a command is finished when the call returns."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._apply = engine.apply
        self._done = 0

    def send(self, frames: Frames) -> None:
        """Apply at once."""
        self._apply(frames)
        self._done += len(frames)

    def poll(self) -> int:
        """Return what was sent: nothing is ever left open."""
        return self._done

    def state_hash(self) -> str:
        """Return the engine's state hash."""
        return self._engine.state_hash()


class JournalTarget:
    """The engine behind the file journal: finished means on the disk, then applied.

    Everything sent between two polls is one group: one write, one fdatasync.
    """

    def __init__(self, engine: Engine, journal: FileJournal) -> None:
        self._engine = engine
        self._journal = journal
        self._waiting: list[Frames] = []
        self._done = 0

    def send(self, frames: Frames) -> None:
        """Put commands into the group that the next commit makes durable."""
        self._journal.append(frames)
        self._waiting.append(frames)

    def poll(self) -> int:
        """Commit the group, then apply it: nothing is answered before it is durable."""
        if self._waiting:
            self._journal.commit()
            for frames in self._waiting:
                self._engine.apply(frames)
                self._done += len(frames)
            self._waiting.clear()
        return self._done

    def state_hash(self) -> str:
        """Return the engine's state hash."""
        return self._engine.state_hash()


@contextmanager
def _engine(spec: TargetSpec) -> Iterator[Target]:
    yield EngineTarget(spec.work.engine())


@contextmanager
def _journal(spec: TargetSpec) -> Iterator[Target]:
    with (
        tempfile.TemporaryDirectory(prefix="tradecore-", dir=spec.folder) as folder,
        FileJournal.open(Path(folder) / "journal", source=1) as journal,
    ):
        yield JournalTarget(spec.work.engine(), journal)


_OWN: Final[dict[str, OpenTarget]] = {"engine": _engine, "journal": _journal}


def is_own(name: str) -> bool:
    """Tell whether a target lives in this process, cheap to build anew for every run."""
    return name in _OWN


def target_names() -> list[str]:
    """Return the names of the targets that can be opened here."""
    return [*_OWN, *sorted(set(_registered()) - set(_OWN))]


def _registered() -> dict[str, str]:
    """Return the references of targets that other packages bring, by name."""
    found = {entry.name: entry.value for entry in entry_points(group=GROUP)}
    return found or (_CHECKOUT if find_spec("tradecore_shells") else {})


def find_target(name: str) -> OpenTarget:
    """Return what opens a target: one of this module, a registered one, or ``module:function``.

    Raises
    ------
    ConfigError
        There is no such target, or its module cannot be imported.
    """
    if name in _OWN:
        return _OWN[name]
    registered = _registered()
    if name in registered:
        return _load(registered[name])
    if ":" in name:
        return _load(name)
    raise ConfigError(f"no target {name!r}; there are: {', '.join(target_names())}")


def open_target(name: str, spec: TargetSpec) -> AbstractContextManager[Target]:
    """Open a target by name; errors as of `find_target`, and whatever the target raises."""
    return find_target(name)(spec)


def _load(reference: str) -> OpenTarget:
    module, _, attribute = reference.partition(":")
    try:
        opener: OpenTarget = getattr(import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"target {reference}: {error}") from error
    return opener
