"""What a dataset's `provenance.json` records: the sha256 of its files, and its grid."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from nogs_bench.errors import NogsError
from nogs_bench.files import PROVENANCE, digest_file, read_provenance
from nogs_bench.tasks import GlimpseGrid


def require_digest(folder: Path, file: Path, content: bytes) -> None:
    """Raise `NogsError` unless `content`, read from `file` of a dataset folder, is what the
    folder's provenance records, if it does."""
    name = file.relative_to(folder).as_posix()
    if (folder / PROVENANCE).is_file() and name in (recorded := recorded_digests(folder)):
        require_same(str(file), hashlib.sha256(content).hexdigest(), recorded[name])


def require_digests(folder: Path, files: Iterable[str]) -> None:
    """Raise `NogsError` unless those of `files`, paths in `folder`, that its provenance records are
    there and as it says."""
    recorded = recorded_digests(folder)
    for file in files:
        if file in recorded:
            require_file(folder / file, recorded[file])


def require_file(path: Path, recorded: str) -> None:
    """Raise `NogsError` unless `path` is a file with that sha256."""
    if not path.is_file():
        raise NogsError(f"{path} is missing; build or download the dataset again")
    require_same(str(path), digest_file(path), recorded)


def recorded_digests(folder: Path) -> dict[str, Any]:
    """sha256 of each file by its path in the folder, as its provenance has them.

    Raises `NogsError` if it is damaged.
    """
    recorded: dict[str, Any] = read_provenance(folder).get("files", {})
    return recorded


def require_same(what: str, found: str, recorded: str) -> None:
    """Raise `NogsError` about the file `what` unless both sha256 are the same."""
    if found != recorded:
        raise NogsError(
            f"{what} cannot be loaded: it is not the file whose sha256 {PROVENANCE} records; build "
            "or download the dataset again"
        )


def recorded_grid(folder: Path) -> GlimpseGrid:
    """The grid that the dataset records."""
    record = read_provenance(folder)
    try:
        grid = record["grid"]
        sizes = int(grid["image_size"]), int(grid["glimpse_size"])
        return GlimpseGrid(*sizes, tuple(grid["rows"]), tuple(grid["cols"]))
    except (ValueError, KeyError, TypeError) as error:
        path = folder / PROVENANCE
        raise NogsError(f"{path} does not record the dataset's grid; build it again") from error
