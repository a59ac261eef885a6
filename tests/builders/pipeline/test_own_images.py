"""Images of one's own, built by the commands: as they are, and by the file that `task` writes."""

from __future__ import annotations

from pathlib import Path

import pytest
from datasets import ClassLabel, Dataset, Features, Value
from datasets import Image as ImageFeature
from typer.testing import CliRunner

from drawings import COLOURS, write_drawings
from nogs_bench.cli import app

QUICK = ("--set", "avp.epochs=2", "--set", "annotation.samples=5", "--images", 4, "--anyway")
MINUTES = ("--minutes", "0.5")


def run(*command: object) -> None:
    done = CliRunner().invoke(app, [*map(str, command)])
    assert done.exit_code == 0, done.exception


def built(folder: Path, task: str, out: str, *more: object) -> dict[str, bytes]:
    """What a small build of a task writes, by path."""
    run("build", task, "--out", out, "--workers", 1, *QUICK, *more)
    files = [p for p in (folder / out).rglob("*") if p.is_file() and ".build" not in p.parts]
    return {path.relative_to(folder / out).as_posix(): path.read_bytes() for path in files}


def write_parquet(folder: Path) -> None:
    """The drawings as a dataset of two labels."""
    files = sorted(write_drawings(folder / "photos", each=20).glob("*/*"))
    names = [file.parent.name for file in files]
    columns = {
        "picture": [{"bytes": file.read_bytes(), "path": None} for file in files],
        "kind": [list(COLOURS).index(name) for name in names],
        "owl": [name == "owl" for name in names],
    }
    kinds = {"kind": ClassLabel(names=list(COLOURS)), "owl": Value("bool")}
    made = Dataset.from_dict(columns, features=Features({"picture": ImageFeature(), **kinds}))
    made.to_parquet(folder / "birds.parquet")


@pytest.mark.slow
@pytest.mark.parametrize("images", ["photos/", "hf:./birds.parquet"])
def test_the_file_of_a_task_builds_the_same_bytes(
    images: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_parquet(tmp_path)
    run("task", images, *MINUTES, "--out", "mytask.py")
    one = built(tmp_path, images, "one", *MINUTES)
    assert one["provenance.json"]
    assert one == built(tmp_path, "mytask.py:task", "two")
    assert one != built(tmp_path, images, "three", *MINUTES, "--glimpses", 4)
