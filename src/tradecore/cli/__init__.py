"""The `tradecore` program: demo, replay, verification, journals and snapshots on one command line.

Part of the library's edge: here are terminals, clocks and files. Every command is a module of its
own with two functions, ``add(commands)`` (its arguments) and ``run(args, screen) -> int`` (its
exit code); this module picks one, and turns whatever goes wrong into one sentence and an exit
code.

Exit codes: 0 all well; 1 the thing that was judged is not well (a verification failed, a journal is
damaged); 2 the request could not be served (usage, a file that is not there); 3 the engine stopped
itself; 130 interrupted.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

__all__ = ["main"]

# Optional packages, and the extra that brings each.
_EXTRAS = dict.fromkeys(("aiokafka", "asyncpg", "redis", "uvloop"), "services")

EXIT_OK, EXIT_FAILED, EXIT_USAGE, EXIT_FAULT, EXIT_INTERRUPTED = 0, 1, 2, 3, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments without the program's name; those of the process when not given.
    """
    try:
        return _run(sys.argv[1:] if argv is None else argv)
    except KeyboardInterrupt:
        # Before the command had begun: while its modules were read.
        print("tradecore: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED


def _run(argv: Sequence[str]) -> int:
    from tradecore.cli.parser import build_parser
    from tradecore.cli.screen import Screen
    from tradecore.errors import EngineFault, TradecoreError

    if sys.stdout is None:  # closed by who started us (`>&-`)
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - for as long as we run
    args = build_parser(argv).parse_args(argv)
    screen = Screen(json=getattr(args, "json", False), plain=getattr(args, "plain", False))
    try:
        code = int(args.run(args, screen))
        sys.stdout.flush()
    except KeyboardInterrupt:
        screen.error("interrupted")
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader (`| head`) has gone. Python would complain again when it closes the stream.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_OK
    except EngineFault as error:
        screen.error(str(error))
        return EXIT_FAULT
    except TradecoreError as error:
        screen.error(str(error))
        return EXIT_USAGE
    except ModuleNotFoundError as error:
        extra = _EXTRAS.get((error.name or "").partition(".")[0])
        if extra is None:
            raise
        screen.error(f"this needs {error.name}: pip install 'tradecore[{extra}]'")
        return EXIT_USAGE
    except MemoryError:
        screen.error("out of memory; ask for less (fewer accounts, orders or instruments)")
        return EXIT_USAGE
    except OSError as error:
        where = f"{error.filename}: " if error.filename else "writing the output: "
        screen.error(f"{where}{error.strerror or error}")
        return EXIT_USAGE
    return code
