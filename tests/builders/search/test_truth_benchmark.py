"""The benchmark in the world whose posteriors are known, at a size that says little."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_every_pair_and_search_is_measured() -> None:
    command = [sys.executable, ROOT / "benchmarks" / "truth.py", "--small", "--temperatures", "1"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    result = json.loads(done.stdout.splitlines()[-1])
    assert len(result["pairs"]) == 8
    for row in (*result["pairs"].values(), *result["searches"].values()):
        assert min(row["regret"]) > -1e-9
        # The posterior is exact: what it claims is what it can know.
        for claimed, true in zip(row["claimed"], row["true"], strict=True):
            assert abs(claimed - true) < 1e-5
    evaluations = {name: row["posteriors"] for name, row in result["searches"].items()}
    assert evaluations["halving"] < evaluations["exhaustive"]
