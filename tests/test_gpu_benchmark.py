"""The command of the day when a GPU is there, at a small size on the CPU."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from nogs_bench.builders.estimate.rates import read_rates

ROOT = Path(__file__).parent.parent
PARTS = [
    "agreement",
    "products",
    "training",
    "posteriors",
    "stylegan",
    "proposal",
    "sequences",
    "avp_training",
]


def _run(out: Path, parts: str) -> dict:
    command = [sys.executable, ROOT / "benchmarks/gpu.py", "--small", "--device", "cpu"]
    done = subprocess.run(
        [*command, "--out", out, "--parts", parts], check=True, capture_output=True, text=True
    )
    assert "failed" not in done.stdout
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_says_so() -> None:
    command = [sys.executable, ROOT / "benchmarks/gpu.py"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert "no GPU here" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_each_part_is_measured_once_and_the_plan_reads_it(tmp_path: Path) -> None:
    first = _run(tmp_path / "gpu.json", "products,stylegan")
    whole = _run(tmp_path / "gpu.json", ",".join(PARTS))
    assert whole["measured"]["products"] == first["measured"]["products"]
    assert set(PARTS) <= set(whole["measured"])
    assert whole["measured"]["agreement"] == {"gradient_error": 0.0, "repeats": True}
    rates = read_rates(tmp_path / "gpu.json")
    assert rates.multiply_adds > 0
    assert rates.generators["stylegan"] > 0
    assert all(rate > 0 for rate in rates.posteriors.values())
