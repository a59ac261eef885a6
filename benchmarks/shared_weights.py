"""Pre-trained weights that several evaluations start from; used by other scripts."""

from __future__ import annotations

from pathlib import Path


def share_weights(folder: Path, out: Path) -> None:
    """Let evaluations in `out` find, and keep, the pre-trained weights in `folder`."""
    for path in (folder, out):
        path.mkdir(parents=True, exist_ok=True)
    if not (out / folder.name).exists():
        (out / folder.name).symlink_to(folder.resolve())
