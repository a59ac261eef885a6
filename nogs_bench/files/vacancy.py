"""Whether files of a command may be written where others may lie."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from nogs_bench.errors import NogsError


def require_own(out: Path, marks: Mapping[str, str], replace: bool = False) -> None:
    """Raise `NogsError` if writing into the folder `out` would replace what no such call wrote.

    `marks`: of each file that is written, a text that it then holds. With `replace`, only a file in
    the folder's place is refused.
    """
    if out.exists() and not out.is_dir():
        raise NogsError(f"{out} is a file; give a folder")
    for name, mark in marks.items():
        path = out / name
        if path.exists() and not replace and mark.encode() not in path.read_bytes():
            raise NogsError(
                f"{path} is there, and is not what this command writes; give another folder, or "
                "--replace to have it replaced"
            )
