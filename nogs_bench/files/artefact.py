"""Files that appear whole or not at all, and say what made them."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from nogs_bench.errors import NogsError

PROVENANCE = "provenance.json"
# What a dataset's provenance has of each name, if it has it, and what is always there.
RECORDED: dict[str, Any] = {
    **dict.fromkeys(("task", "digest", "nogs_bench", "origin", "licence"), str),
    **dict.fromkeys(("task_version", "annotated"), int),
    **dict.fromkeys(("images", "files", "made_by", "grid", "chosen"), dict),
    **dict.fromkeys(("quality", "calibration", "posterior"), dict | None),
}
ALWAYS = RECORDED.keys() - {"licence", "chosen", "posterior", "grid"}
SPLITS = {"train", "validation", "test"}
# What a full disk is called by the system and safetensors, and by numpy, which gives no errno.
_FULL = (os.strerror(errno.ENOSPC), " requested and ")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path in the same folder, renamed to `path` when the block ends without error.

    Nothing is left behind when it does not. A write that failed for want of space raises `OSError`
    with `errno.ENOSPC` and the path, whatever its library raised.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        with naming_full_disk(path):
            yield temporary
            temporary.chmod(0o644)
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def naming_full_disk(path: Path) -> Iterator[None]:
    """Turn what libraries raise when there is no space left to write `path` into `OSError` with
    `errno.ENOSPC` and the path."""
    try:
        yield
    except Exception as error:
        if any(sign in str(error) for sign in _FULL):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from error
        raise


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path`, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write `value` to `path` as sorted, indented JSON, whole or not at all."""
    write_text(path, json.dumps(value, indent=1, sort_keys=True, allow_nan=False) + "\n")


def read_provenance(folder: Path, whole: bool = False) -> dict[str, Any]:
    """What `provenance.json` of a dataset folder says.

    Raises `NogsError` if it is absent or damaged; if it has to be `whole`, also if it lacks what
    every build writes.
    """
    path = folder / PROVENANCE
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise NogsError(f"{path} cannot be read ({error}); build the dataset again") from error
    if not isinstance(record, dict):
        raise NogsError(f"{path} holds no record of a dataset; build it again")
    faults = [name for name in RECORDED.keys() & record.keys() if not _is_sound(name, record)]
    if whole:
        faults += ALWAYS - record.keys()
        faults += [] if faults or record["images"].keys() >= SPLITS else ["images"]
    if faults:
        raise NogsError(f"{path} is damaged in {min(faults)}; build or download the dataset again")
    return record


def _is_sound(name: str, record: Mapping[str, Any]) -> bool:
    """Whether an entry is of its type, and a table of files or images has texts or numbers."""
    value = record[name]
    if not isinstance(value, RECORDED[name]):
        return False
    table = (value or {}).get("files", {}) if name == "posterior" else value
    if name in ("files", "posterior"):
        return isinstance(table, dict) and all(isinstance(each, str) for each in table.values())
    return name != "images" or all(isinstance(each, int) for each in table.values())


def digest_file(path: Path) -> str:
    """sha256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest_json(value: Any) -> str:
    """sha256 of a value's canonical JSON."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class Provenance:
    """What made an artefact.

    - `stage`: "bank", "avp", "sequences", "dataset".
    - `config`: every setting the stage depends on, as plain JSON values.
    - `parents`: stage or file name to the key or digest of what it was made from.
    """

    stage: str
    config: Mapping[str, Any]
    seed: int
    parents: Mapping[str, str]

    @property
    def key(self) -> str:
        """sha256 of all inputs and the package version: equal keys mean equal outputs."""
        return digest_json(asdict(self) | {"version": package_version()})

    @property
    def name(self) -> str:
        """What the artefact's file is called, without its suffix."""
        return stage_name(self.stage, self.key)

    def record(self, **more: Any) -> dict[str, Any]:
        """As written beside the artefact."""
        return asdict(self) | {"key": self.key, "version": package_version(), **more}


def stage_name(stage: str, key: str) -> str:
    """What the file of a stage with this `Provenance.key` is called, without its suffix."""
    return f"{stage}-{key[:16]}"


def package_version() -> str:
    """The installed version of nogs-bench."""
    return version("nogs-bench")
