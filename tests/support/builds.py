"""What builds of a tiny task leave, and how they are asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

SETTINGS: dict[str, Any] = {"posterior": "bank", "workers": 1, "device": "cpu", "images": 50}


def files(folder: Path) -> dict[str, bytes]:
    """Contents of the dataset's own files."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".build" not in path.parts
    }
