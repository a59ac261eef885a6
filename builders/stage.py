"""Build stages: each writes one file, named by all that it depends on, and is not run twice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from nogs_bench.artefact import Provenance, digest_file, replacing, write_json


@dataclass(frozen=True)
class Workspace:
    """The folder in which a build keeps its stages' files."""

    folder: Path

    def path(self, provenance: Provenance, suffix: str) -> Path:
        """Where the stage's file of that suffix belongs; `""` names a folder of shards."""
        return self.folder / f"{provenance.stage}-{provenance.key[:16]}{suffix}"

    def stage(self, provenance: Provenance, suffix: str, make: Callable[[Path], None]) -> Path:
        """The stage's file, made by `make(temporary path)` unless it is there already.

        The file appears whole or not at all; `<file>.json` beside it records what made it, with
        the file's sha256.
        """
        path = self.path(provenance, suffix)
        if not path.exists():
            with replacing(path) as temporary:
                make(temporary)
            write_json(
                path.with_name(f"{path.name}.json"), provenance.record(sha256=digest_file(path))
            )
        return path
