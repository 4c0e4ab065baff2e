"""Run Cython and fail on its performance hints.

Cython's ``-Werror`` covers warnings only. The text "performance hint" announces that a ``nogil``
call takes the GIL to look for an exception, which costs 36 to 53 ns where a call costs 1.4: in this
kernel that is a defect, so it must stop the build. Called by CMakeLists.txt in place of ``cython``.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

# One missing name makes Cython complain about every line that follows from it.
SHOWN_LINES = 60


def main(arguments: list[str]) -> int:
    """Run ``python -m cython`` and return its exit status, or 1 if it hinted at performance.

    Parameters
    ----------
    arguments : list of str
        Arguments for Cython, unchanged.

    Returns
    -------
    int
        Exit status for the build tool.
    """
    done = subprocess.run(
        [sys.executable, "-m", "cython", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    lines = done.stdout.splitlines(keepends=True)
    sys.stderr.writelines(lines[:SHOWN_LINES])
    if len(lines) > SHOWN_LINES:
        sys.stderr.write(f"... {len(lines) - SHOWN_LINES} more lines of Cython\n")
    if done.returncode == 0 and "performance hint" in done.stdout:
        sys.stderr.write("cython_strict: performance hints are errors in this project\n")
        # Without its output the step is unfinished whatever the build tool thinks of time stamps.
        if "--output-file" in arguments:
            Path(arguments[arguments.index("--output-file") + 1]).unlink(missing_ok=True)
        return 1
    return done.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
