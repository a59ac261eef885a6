"""What an earlier call left damaged or unfinished, put right and said."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

# What safetensors calls its temporary files, and `artefact.replacing` its own.
SAFETENSORS = re.compile(r"\.tmp[A-Za-z0-9]{6}")
TEMPORARY = re.compile(r"\.(?P<name>.+)\.[a-z0-9_]{8}(?P<suffix>(\.\w+)?)")


def repaired(paths: Sequence[Path], what: str) -> None:
    """Say on standard error what was found and done about it, in one line; nothing of no paths."""
    if paths:
        more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
        print(f"repaired: {paths[0]}{more} {what}", file=sys.stderr)


def sweep(paths: Iterable[Path]) -> None:
    """Of `paths`, remove the temporary files of calls that were killed, and say so.

    Nobody else may be writing there.
    """
    left = [path for path in sorted(paths) if _temporary(path.name) and path.is_file()]
    for path in left:
        path.unlink()
    repaired(left, "left by a call that was killed: removed")


def _temporary(name: str) -> bool:
    if SAFETENSORS.fullmatch(name):
        return True
    found = TEMPORARY.fullmatch(name)
    return found is not None and Path(found["name"]).suffix == found["suffix"]
