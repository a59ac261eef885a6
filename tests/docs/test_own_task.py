"""The page on a user's own task, followed to the letter on a tiny folder of images."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from drawings import COLOURS, write_drawings
from nogs_bench.errors import NogsError
from nogs_bench.files.artefact import read_provenance
from nogs_bench.images.folder import ImageFolder
from nogs_bench.results.entries import load_results
from places import ROOT

PAGE = ROOT / "docs" / "own-task.md"
BLOCK = re.compile(r"^```(python|bash)\n(.*?)^```$", re.M | re.S)


@pytest.mark.slow
def test_the_page_on_own_tasks_works_as_written(tmp_path: Path) -> None:
    write_drawings(tmp_path / "photos")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    blocks = BLOCK.findall(PAGE.read_text(encoding="utf-8"))
    assert len(blocks) == 6
    outputs = []
    for language, text in blocks:
        named = re.match(r"# (\w+\.py)\n", text)
        if named:
            (tmp_path / named[1]).write_text(text, encoding="utf-8")
            continue
        command = [sys.executable, "-c", text] if language == "python" else ["bash", "-ec", text]
        done = subprocess.run(
            command, cwd=tmp_path, env={**os.environ, "PATH": path}, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        outputs.append(done.stdout)
    record = read_provenance(tmp_path / "nogs" / "photos")
    quality = record["quality"]
    assert quality["built"]["accuracy"][0] > quality["random"]["accuracy"][0] + 0.2
    assert record["chosen"] == {"minutes": 1}
    assert "image_size" in outputs[0]
    assert outputs[1].startswith("36 8 5")
    assert str(list(COLOURS)) in outputs[3]
    assert "nothing odd" in outputs[5]
    built = rebuilt(tmp_path, "photos?minutes=1", "one")
    assert built == rebuilt(tmp_path, "mytask.py:task", "two")
    assert (tmp_path / "curves.png").stat().st_size
    methods = {result.method for result in load_results(tmp_path / "results")}
    assert methods == {"ram", "ps-nogs"}


def rebuilt(folder: Path, task: str, out: str) -> dict[str, bytes]:
    """What a small build of a task writes, by path."""
    code = f"""
import nogs_bench
nogs_bench.build({task!r}, {out!r}, overrides={{"avp.epochs": 2, "annotation.samples": 5}},
    images=4, anyway=True)
"""
    subprocess.run([sys.executable, "-c", code], cwd=folder, check=True, capture_output=True)
    files = [p for p in (folder / out).rglob("*") if p.is_file() and ".build" not in p.parts]
    return {path.relative_to(folder / out).as_posix(): path.read_bytes() for path in files}


def test_a_folder_s_splits_are_all_files_once(tmp_path: Path) -> None:
    photos = ImageFolder(write_drawings(tmp_path / "photos", each=10), image_size=9)
    assert photos.label.classes == tuple(COLOURS)
    assert vars(photos.splits) == {
        "train": 18,
        "validation": 3,
        "test": 6,
        "avp_validation": 3,
    }
    parts = [photos.load(split) for split in vars(photos.splits)]
    labels = np.concatenate([part.labels for part in parts])
    assert np.bincount(labels[:, 0]).tolist() == [10, 10, 10]
    images = np.concatenate([part.images for part in parts])
    assert images.shape == (30, 3, 9, 9)
    assert len({image.tobytes() for image in images}) == 30
    # The middle of 36 x 36 begins 2 pixels from the left; 4 become one; Lanczos overshoots.
    for image, label in zip(images, labels[:, 0], strict=True):
        np.testing.assert_allclose(image[:, 6, 6], list(COLOURS.values())[label], atol=9)
    again = ImageFolder(tmp_path / "photos", image_size=9, seed=1).load("train")
    assert not np.array_equal(again.images, parts[0].images)
    elsewhere = write_drawings(tmp_path / "elsewhere", each=10)
    np.testing.assert_array_equal(photos.load("test", elsewhere).images, parts[2].images)


def test_pictures_are_cut_turned_and_grey(tmp_path: Path) -> None:
    """A wide picture whose middle third is white; its camera was held on its side."""
    wide = np.zeros((4, 12, 3), np.uint8)
    wide[:, 4:8] = 255
    wide[0, 4:8] = 0
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned a quarter clockwise: the top row becomes the right column
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for number in range(5):
            wide[1, 4] = 40 * number, 10 * (name == "b"), 0  # no two are the same
            Image.fromarray(wide).save(tmp_path / name / f"{number}.png", exif=exif)
    (tmp_path / "a" / ".DS_Store").write_text("not counted")
    photos = ImageFolder(tmp_path, 4, channels=1, validation=0.2, test=0.2, avp_validation=0.2)
    expected = np.full((4, 4), 255, np.uint8)
    expected[:, 3] = 0
    found = photos.load("train").images[0, 0]
    found[0, 2] = 255  # where they differ
    np.testing.assert_array_equal(found, expected)


def test_bad_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(NogsError, match="no folder of images"):
        ImageFolder(tmp_path / "absent", 8)
    (tmp_path / "one").mkdir()
    with pytest.raises(NogsError, match="at least two"):
        ImageFolder(tmp_path, 8)
    (tmp_path / "two").mkdir()
    with pytest.raises(NogsError, match=r"one holds no images"):
        ImageFolder(tmp_path, 8)
    photos = write_drawings(tmp_path / "photos", each=2)
    with pytest.raises(NogsError, match="heron has too few images"):
        ImageFolder(photos, 8)
    with pytest.raises(NogsError, match="channels must be 1 or 3"):
        ImageFolder(photos, 8, channels=2)
    more = write_drawings(tmp_path / "more", each=10)
    source = ImageFolder(more, 8)
    other = write_drawings(tmp_path / "other", each=10)
    (other / "owl").rename(other / "eagle")
    with pytest.raises(NogsError, match="the task"):
        source.load("train", other)
    for file in more.glob("*/*"):
        file.write_bytes(file.read_bytes()[:-60])
    with pytest.raises(NogsError, match=r"\.png cannot be read as an image"):
        ImageFolder(more, 8)
