"""What an earlier call left damaged or unfinished, put right and said."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path


def repaired(paths: Sequence[Path], what: str) -> None:
    """Say on standard error what was found and done about it, in one line; nothing of no paths."""
    if paths:
        more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
        print(f"repaired: {paths[0]}{more} {what}", file=sys.stderr)
