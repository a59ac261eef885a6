"""Thousands of spoiled files: one line each, no traceback, no hang, nothing written elsewhere."""

from __future__ import annotations

import random
import signal
import sys
import traceback
import warnings
from collections import Counter
from pathlib import Path

import pytest

from fuzzing import TARGETS, Folder
from nogs_bench.errors import NogsError

SECONDS = 20


def hang(*_: object) -> None:
    raise TimeoutError(f"an input took longer than {SECONDS} s")


def spoil_and_read(tmp_path: Path, count: int, seed: int) -> Counter:
    """How `count` spoiled inputs ended; fails at the first that was not refused in one line."""
    place = tmp_path / "in" / "deep"
    place.mkdir(parents=True)
    folders = [Folder(target, place) for target in TARGETS]
    before = {folder.folder: folder.files() for folder in folders}
    chance, ends, faults = random.Random(seed), Counter(), []
    previous = signal.signal(signal.SIGALRM, hang)
    try:
        for number in range(count):
            folder = folders[number % len(folders)]
            folder.spoil(chance)
            signal.alarm(SECONDS)
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    folder.target.read(folder.folder)
                ends[folder.target.name, "read"] += 1
            except NogsError as error:
                ends[folder.target.name, "refused"] += 1
                if not str(error).strip() or str(error).count("\n") > 20:
                    faults.append(f"{folder.target.name}: {error}")
            except Exception:
                faults.append(f"{folder.target.name}: {traceback.format_exc(limit=-6)}")
                (tmp_path / f"fault-{len(faults)}").write_bytes(folder.path.read_bytes())
            finally:
                signal.alarm(0)
            for name in [n for n in sys.modules if n.startswith("nogs_bench_user_")]:
                del sys.modules[name]
    finally:
        signal.signal(signal.SIGALRM, previous)
    assert not faults, f"{len(faults)} of {count}\n" + "\n".join(faults[:20])
    assert {folder.folder: folder.files() for folder in folders} == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in"]
    assert sorted(p.name for p in (tmp_path / "in").iterdir()) == ["deep"]
    return ends


@pytest.fixture(autouse=True)
def quiet(caplog):
    caplog.set_level("CRITICAL")


def test_hundreds_of_spoiled_files(tmp_path):
    ends = spoil_and_read(tmp_path, 20 * len(TARGETS), 0)
    assert sum(count for (_, end), count in ends.items() if end == "refused") > 5 * len(TARGETS)


@pytest.mark.slow
def test_ten_thousand_spoiled_files(tmp_path):
    ends = spoil_and_read(tmp_path, 10_000, 1)
    # Every reader refuses some.
    assert {name for name, end in ends if end == "refused"} == {target.name for target in TARGETS}
