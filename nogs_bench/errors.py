"""The one exception a user is meant to read."""

from __future__ import annotations

import sysconfig
import traceback
from pathlib import Path

HERE = Path(__file__).resolve().parent
LIBRARIES = tuple(
    str(place)
    for place in (HERE, HERE.parent / "builders", Path(sysconfig.get_path("stdlib")).resolve(), "<")
)


class NogsError(Exception):
    """Bad input, said in one line: what is wrong, where, and what to do about it.

    The command line prints the message as it is and exits with 1. Anything else that escapes is
    a defect in the package.
    """


def place_of(error: BaseException) -> str:
    """`": ValueError('...') (FILE.py, line 7)"`: what was raised, and the last place of it that is
    neither this package's nor a library's, in one line."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [
        frame
        for frame in frames
        if not frame.filename.startswith(LIBRARIES) and "-packages" not in frame.filename
    ]
    place = f" ({own[-1].filename}, line {own[-1].lineno})" if own else ""
    return " ".join(f": {error!r}{place}".split("\n"))
