"""Build stages: each writes one file, named by all that it depends on, and is not run twice."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from nogs_bench.device import give_memory_back
from nogs_bench.files import Mirror, Provenance, digest_file, repaired, replacing, write_json


@dataclass(frozen=True)
class Workspace:
    """The folder in which a build keeps its stages' files; `mirror`: where they are kept too."""

    folder: Path
    mirror: Mirror

    def path(self, provenance: Provenance, suffix: str) -> Path:
        """Where the stage's file of that suffix belongs; `""` names a folder of shards."""
        return self.folder / f"{provenance.name}{suffix}"

    def stage(self, provenance: Provenance, suffix: str, make: Callable[[Path], None]) -> Path:
        """The stage's file, made by `make(temporary path)` unless it is there already, and sound.

        The file appears whole or not at all, after `<file>.json`, which records what made it, with
        the file's sha256. What `make` left for another attempt (`.<stage>-<key>.*`) is removed.
        """
        path = self.path(provenance, suffix)
        record = path.with_name(f"{path.name}.json")
        if path.exists() and not _sound(path, record):
            repaired([path], "is not what was written there: made again")
            path.unlink()
        if not path.exists() and self.mirror.pull(record, path) and not _sound(path, record):
            repaired([path], "is not what was kept of it in the store: made again")
            path.unlink()
        made = not path.exists()
        if made:
            with replacing(path) as temporary:
                make(temporary)
                write_json(record, provenance.record(sha256=digest_file(temporary)))
            give_memory_back()
        if made or not {path.name, record.name} <= self.mirror.held(self.folder):
            self.mirror.push(path, record)
        for left in self.folder.glob(f".{path.stem}.*"):
            if left.is_dir():
                self.mirror.drop(left)
                shutil.rmtree(left)
            else:
                left.unlink()
        return path


def _sound(path: Path, record: Path) -> bool:
    """Whether a file is what its record says."""
    try:
        known = json.loads(record.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(known, dict) and known.get("sha256") == digest_file(path)
