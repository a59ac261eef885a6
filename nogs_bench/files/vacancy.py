"""Whether files of a command may be written where others may lie.

What is there is left, and named, unless the caller wants it replaced.
"""

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


# What `datasets` reads in a path as a pattern, or as a protocol's.
PATTERNS = ("*", "?", "[", "]", "::")


def require_plain(path: Path | str, what: str, instead: str) -> None:
    """Raise `NogsError` if `datasets` could not load what lies at `path`.

    `what`: how the user named the path; `instead`: what to do.
    """
    odd = [sign for sign in PATTERNS if sign in str(path)]
    if odd:
        raise NogsError(
            f"{what}: a dataset with {odd[0]!r} in its path cannot be loaded, as "
            f"`datasets` reads that as a pattern; {instead}"
        )


def require_new(out: Path, replace: bool = False) -> None:
    """Raise `NogsError` if writing the file `out` would replace another, and that is not wanted."""
    if out.is_dir():
        raise NogsError(f"--out {out} is a folder; give a file")
    if out.exists() and not replace:
        raise NogsError(f"--out {out} is there; give another file, or --replace to replace it")


def require_empty(out: Path, replace: bool = False) -> None:
    """Raise `NogsError` if the folder `out` holds anything, and may not have files replaced."""
    if out.exists() and not out.is_dir():
        raise NogsError(f"--out {out} is a file; give a folder")
    held = sorted(path.name for path in out.iterdir()) if out.exists() else []
    if held and not replace:
        more = f" and {len(held) - 3} more" if len(held) > 3 else ""
        raise NogsError(
            f"--out {out} is not an empty folder, it holds {', '.join(held[:3])}{more}; give "
            "another, or --replace to have this command's files replaced"
        )
