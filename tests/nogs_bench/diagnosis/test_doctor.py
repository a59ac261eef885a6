"""What `doctor` says of this machine, and what it advises of others."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import fields, replace
from importlib.metadata import version
from pathlib import Path

import pytest
import torch

import nogs_bench
from nogs_bench.diagnosis import ADVICE, Facts, Folder, Pool, facts

WELL = Facts(
    package="0.1.0",
    python="3.13.1",
    system="made up",
    versions={"torch": "2.15"},
    extras={"ray": ("ray",)},
    cuda="13.0",
    devices=(),
    driver=None,
    gpu_warning=None,
    cores=4,
    threads=4,
    pools=(Pool("openblas", "1", 4),),
    settings={},
    folders=(Folder("working folder", "/w", 100 * 2**30, True),),
    memory=16 * 2**30,
    memory_free=8 * 2**30,
    hub=None,
)


def advised(**changes: object) -> list[str]:
    return [each.wrong for check in ADVICE for each in check(replace(WELL, **changes))]


def test_a_machine_that_is_well_is_told_nothing() -> None:
    assert advised() == []
    assert advised(devices=("H100",), driver="550.1") == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"threads": 8}, "more threads than the 4 cores this process may use (torch takes 8)"),
        ({"pools": (Pool("mkl", "1", 64),)}, "(mkl takes 64)"),
        ({"folders": (Folder("cache", "/c", 2**30, True),)}, "1.0 GiB are free for cache, /c"),
        ({"folders": (Folder("cache", "/c", 2**40, False),)}, "/c, cannot be written to"),
        ({"memory_free": 2**29}, "0.5 GiB of memory are free"),
        ({"driver": "470.82", "gpu_warning": "too old"}, "no GPU with driver 470.82 (too old)"),
        ({"driver": "550.1", "cuda": None}, "torch was built without CUDA"),
        ({"hub": "HF_HUB_OFFLINE is set"}, "not reached: HF_HUB_OFFLINE is set"),
        ({"versions": {"torch": "2.15", "timm": None}}, "timm not installed"),
    ],
)
def test_what_hurts_is_said_once(changes: dict[str, object], said: str) -> None:
    (line,) = advised(**changes)
    assert said in line


def test_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NOGS_BENCH_CACHE", str(tmp_path / "not" / "there"))
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    (tmp_path / "driver").write_text("NVRM version: NVIDIA UNIX x86_64 Kernel Module  470.82.01\n")
    monkeypatch.setattr(facts, "DRIVER", tmp_path / "driver")
    monkeypatch.setattr(facts, "MEMORY", tmp_path / "memory")
    (tmp_path / "memory").write_text("MemTotal: 2048 kB\nMemFree: 1 kB\nMemAvailable: 1024 kB\n")
    found = nogs_bench.doctor()
    assert found.facts.versions["torch"] == version("torch")
    assert "ray" in found.facts.extras
    assert found.facts.cores == len(os.sched_getaffinity(0))
    assert found.facts.threads == torch.get_num_threads()
    assert found.facts.settings["OMP_NUM_THREADS"] == os.environ["OMP_NUM_THREADS"]
    assert found.facts.driver == "470.82.01"
    assert (found.facts.memory, found.facts.memory_free) == (2**21, 2**20)
    by_name = {folder.what: folder for folder in found.facts.folders}
    assert by_name["nogs-bench's cache"].path == str(tmp_path / "not" / "there")
    assert by_name["nogs-bench's cache"].writable
    assert found.facts.hub == "HF_HUB_OFFLINE is set"  # tests/conftest.py
    text = str(found)
    assert str(tmp_path) not in text
    assert "~/not/there" in text
    facts_part, _, advice_part = text.partition("\n\n")
    assert "! the Hub is not reached" in advice_part
    assert "! 0.0 GiB of memory are free" in advice_part
    assert f"torch: {version('torch')}" in " ".join(facts_part.split())


def test_the_command_in_both_forms() -> None:
    program = [sys.executable, "-c", "from nogs_bench.cli import main; main()", "doctor"]
    done = subprocess.run([*program, "--json"], capture_output=True, text=True, check=True)
    said = json.loads(done.stdout)
    assert set(said) == {"facts", "advice"}
    assert set(said["facts"]) == {field.name for field in fields(Facts)}
    assert all(set(each) == {"wrong", "do"} for each in said["advice"])


def test_cores_are_known_where_the_system_has_no_affinity(monkeypatch: pytest.MonkeyPatch) -> None:
    from nogs_bench.device import cores

    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 7)
    assert cores() == 7
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert cores() == 1
