"""The figures of README and site that come from what the repository holds, drawn again.

    python docs/draw.py    # writes docs/figures/epe.png, locations.png and curves.png

The others in docs/figures are of studies of earlier versions, whose raw results are not kept here.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import nogs_bench
from nogs_bench.figures import plot_locations

ROOT = Path(__file__).parents[1]
FIGURES = ROOT / "docs" / "figures"
RESULTS = ROOT / "leaderboard" / "results" / "cluttered-digits"
TASK = "cluttered-digits"


def draw(out: Path) -> list[Path]:
    """Write all figures into a folder; returns their paths."""
    out.mkdir(parents=True, exist_ok=True)
    return [
        nogs_bench.plot_epe(TASK, None, out / "epe.png"),
        plot_locations(TASK, out / "locations.png"),
        curves(out / "curves.png"),
    ]


def curves(out: Path) -> Path:
    """RAM and PS-NOGS of the study, from the same pre-trained weights."""
    with tempfile.TemporaryDirectory() as folder:
        for method in ("ram", "ps-nogs"):
            shutil.copy(RESULTS / f"{TASK}.pretrained.{method}.reference.json.gz", folder)
        return nogs_bench.plot_curves(folder, out)


if __name__ == "__main__":
    for path in draw(FIGURES):
        print(path.relative_to(ROOT))
