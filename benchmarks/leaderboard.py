"""The leaderboard at scale: made-up result files validated, scored, and made into a page.

    python benchmarks/leaderboard.py [--files 1000]

Prints how long each step takes and how large the page is, and last one line of JSON. The files are
made up by the tests' own helper: entries of 5 seeds on the tasks' real sizes, with locations.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))
from board import board_run, write_board  # made-up results
from nogs_bench.leaderboard.page import build
from nogs_bench.leaderboard.validation import validate
from nogs_bench.results import score

TASKS = ("fashion-mnist", "cluttered-digits", "cluttered-fashion")
METHODS = ("ram", "ps-nogs", "ps-nogs-anneal", "ps-hgs", "ps-h1", "ps-h5")
SEEDS = 5


def make(folder: Path, files: int) -> int:
    """Write the files of as many whole entries as fit into `files`."""
    models = (f"Model{number}" for number in itertools.count())
    settings = (
        (task, protocol, model, method)
        for model in itertools.chain(["reference"], models)
        for task in TASKS
        for protocol in ("pretrained", "scratch")
        for method in METHODS
    )
    entries = list(itertools.islice(settings, files // SEEDS))
    for task, protocol, model, method in entries:
        write_board(
            folder, (board_run(method, seed, task, protocol, model) for seed in range(SEEDS))
        )
    return len(entries)


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds, and what the work returned."""
    start = time.perf_counter()
    found = work()
    return time.perf_counter() - start, found


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--files", type=int, default=1000)
    files = arguments.parse_args().files
    with tempfile.TemporaryDirectory() as temporary:
        folder, site = Path(temporary, "results"), Path(temporary, "site")
        entries = make(folder, files)
        stored = sum(path.stat().st_size for path in folder.iterdir())
        validating, report = timed(lambda: validate(folder))
        assert report.valid, report.faults[0]
        scoring, scores = timed(lambda: score(folder))
        assert len(scores.rows) == entries
        building, page = timed(lambda: build(folder, site))
        size = page.stat().st_size
    rows = {
        "result files": f"{entries * SEEDS:,} ({stored / 1e6:.0f} MB), {entries} entries",
        "validated in": f"{validating:.1f} s",
        "scored in": f"{scoring:.1f} s (at most 10)",
        "page built in": f"{building:.1f} s (at most 20), validation and scoring included",
        "page": f"{size / 1e6:.2f} MB (at most 5)",
    }
    for name, value in rows.items():
        print(f"{name:14} {value}")
    print(
        json.dumps(
            {
                "files": entries * SEEDS,
                "validate_s": round(validating, 2),
                "score_s": round(scoring, 2),
                "build_s": round(building, 2),
                "page_bytes": size,
            }
        )
    )


if __name__ == "__main__":
    main()
