"""`prepare` on small folders at full image size."""

from __future__ import annotations

import errno
import io
import json
import os
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from typer.testing import CliRunner

from cub_folder import write_cub
from nogs_bench.builders.prepare import celeba, command
from nogs_bench.builders.prepare import raw as raw_images
from nogs_bench.builders.prepare.command import prepare
from nogs_bench.builders.prepare.cub import crop_box, crop_parts
from nogs_bench.cli import app
from nogs_bench.errors import NogsError
from nogs_bench.images.decoder import squared
from nogs_bench.images.prepared import PreparedFolder, verify
from nogs_bench.tasks import load_split
from nogs_bench.tasks.task import Splits, get_task

SPLITS = Splits(train=3, validation=1, test=1, avp_validation=1)
COUNT = 5
CELEBA = get_task("celeba-hq-male").source
CUB = get_task("cub-200").source


def face(number: int, side: int = 224) -> np.ndarray:
    """uint8 (side, side, 3): left half of one grey, right half of another."""
    pixels = np.full((side, side, 3), 40 * number, np.uint8)
    pixels[:, side // 2 :] = 255 - 40 * number
    return pixels


def write_labels(folder: Path) -> None:
    rows = [f"{i:06}.png" + "".join(" 1" if a == i else " -1" for a in range(40)) for i in range(5)]
    (folder / "celeba-hq-attributes.txt").write_text("\n".join(rows) + "\n")


@pytest.fixture
def faces(tmp_path: Path) -> Path:
    folder = tmp_path / "faces"
    folder.mkdir()
    for number in range(COUNT):
        Image.fromarray(face(number)).save(folder / f"{number:05}.png")
    write_labels(folder)
    return folder


def check_faces(out: Path, tolerance: int = 0) -> None:
    expected = np.stack([face(number).transpose(2, 0, 1) for number in range(COUNT)]).astype(int)
    rows = {"train": slice(3), "validation": slice(3, 4), "test": slice(4, 5)}
    rows["avp_validation"] = rows["validation"]
    for split, part in rows.items():
        loaded = CELEBA.load(split, out)
        # Away from the edge between the halves, whose blur depends on the encoding.
        away = np.abs(np.arange(224) - 111.5) > 12
        difference = np.abs(loaded.images.astype(int) - expected[part])[..., away]
        assert difference.max() <= tolerance
        assert loaded.labels.argmax(1).tolist() == list(range(COUNT))[part]


def test_png_of_the_right_size_is_kept_pixel_by_pixel(faces: Path, tmp_path: Path) -> None:
    out = prepare("celeba-hq", faces, tmp_path / "out", splits=SPLITS, workers=2)
    check_faces(out)
    assert isinstance(CELEBA.load("train", out).images.base, np.memmap)
    assert not (out / ".prepare").exists()
    assert verify(out, "celeba-hq")["count"] == COUNT


@pytest.mark.parametrize("suffix", ["jpg", "npy"])
def test_large_jpeg_and_npy_are_resized(tmp_path: Path, suffix: str) -> None:
    folder = tmp_path / "faces"
    folder.mkdir()
    write_labels(folder)
    for number in range(COUNT):
        path = folder / f"imgHQ{number:05}.{suffix}"
        if suffix == "npy":
            np.save(path, face(number, 448).transpose(2, 0, 1)[None])
        else:
            Image.fromarray(face(number, 448)).save(path, quality=95)
    check_faces(prepare("celeba-hq", folder, tmp_path / "out", splits=SPLITS, workers=1), 2)


def test_what_lies_outside_the_middle_square_does_not_come_in() -> None:
    tall = np.full((13, 9), 255, np.uint8)
    tall[2:-2] = 0
    for pixels in (tall, tall.T):
        assert not squared(Image.fromarray(pixels), 6).any()


def test_resizing_is_antialiased() -> None:
    stripes = np.zeros((448, 448, 3), np.uint8)
    stripes[:, ::2] = 200
    pixels = squared(Image.fromarray(stripes), 224)
    assert np.abs(pixels[:, :, 8:-8].astype(int) - 100).max() <= 2


def write_parquet(folder: Path, order: list[int], paths: bool) -> None:
    cells = []
    for number in order:
        buffer = io.BytesIO()
        Image.fromarray(face(number)).save(buffer, "PNG")
        cells.append({"bytes": buffer.getvalue(), "path": f"x/{number:05}.png" if paths else None})
    pq.write_table(pa.table({"image": cells}), folder / "train-0.parquet", row_group_size=2)


def test_parquet_goes_by_the_numbers_in_its_paths(tmp_path: Path) -> None:
    write_labels(tmp_path)
    write_parquet(tmp_path, [3, 0, 4, 2, 1], paths=True)
    check_faces(prepare("celeba-hq", tmp_path, tmp_path / "out", splits=SPLITS, workers=1))


def test_parquet_without_numbers_needs_in_order(tmp_path: Path) -> None:
    write_labels(tmp_path)
    write_parquet(tmp_path, list(range(COUNT)), paths=False)
    with pytest.raises(NogsError, match=r"row 0 does not say which image.*--in-order"):
        prepare("celeba-hq", tmp_path, tmp_path / "out", splits=SPLITS)
    out = prepare("celeba-hq", tmp_path, tmp_path / "out", splits=SPLITS, in_order=True, workers=1)
    check_faces(out)


def test_parquet_of_other_cells_is_refused(tmp_path: Path) -> None:
    write_labels(tmp_path)
    table = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    cells = pa.array([None, *({"bytes": b"x", "path": f"{i}.png"} for i in range(4))], table)
    pq.write_table(pa.table({"image": cells}), tmp_path / "train.parquet")
    with pytest.raises(NogsError, match=r"row 0 does not say which image"):
        prepare("celeba-hq", tmp_path, tmp_path / "out", splits=SPLITS)
    with pytest.raises(NogsError, match="row group 0, row 0 cannot be read as an image"):
        prepare("celeba-hq", tmp_path, tmp_path / "out", splits=SPLITS, in_order=True, workers=1)
    numbers = pa.table({"image": [{"bytes": b"x", "path": number} for number in range(5)]})
    pq.write_table(numbers, tmp_path / "train.parquet")
    with pytest.raises(NogsError, match=r"row 0 does not say which image"):
        prepare("celeba-hq", tmp_path, tmp_path / "out", splits=SPLITS)


def test_parquet_whose_pages_are_damaged_is_named(tmp_path: Path) -> None:
    write_labels(tmp_path)
    write_parquet(tmp_path, list(range(COUNT)), paths=True)
    path = tmp_path / "train-0.parquet"
    where = pq.ParquetFile(path).metadata.row_group(0).column(0).data_page_offset
    content = bytearray(path.read_bytes())
    content[where : where + 40] = b"\xff" * 40
    path.write_bytes(content)
    with pytest.raises(NogsError, match=r"train-0.parquet is damaged"):
        prepare("celeba-hq", tmp_path, tmp_path / "out", splits=SPLITS, workers=1)


def test_a_part_in_order_would_be_numbered_wrongly(tmp_path: Path) -> None:
    write_labels(tmp_path)
    write_parquet(tmp_path, list(range(COUNT - 1)), paths=False)
    given = {"splits": SPLITS, "in_order": True, "workers": 1}
    with pytest.raises(NogsError, match="would be numbered wrongly; fetch all parquet files"):
        prepare("celeba-hq", tmp_path, tmp_path / "out", partial=True, **given)
    with pytest.raises(NogsError, match=f"image {COUNT - 1} is missing$"):
        prepare("celeba-hq", tmp_path, tmp_path / "out", **given)


def test_in_order_is_for_parquet(faces: Path, tmp_path: Path) -> None:
    with pytest.raises(NogsError, match="--in-order is for rows of parquet"):
        prepare("celeba-hq", faces, tmp_path / "out", splits=SPLITS, in_order=True)


def test_one_call_at_a_time_writes_a_folder(
    faces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second call is refused while the first decodes, which then ends as if alone."""
    begun, go_on, out = threading.Event(), threading.Event(), tmp_path / "out"
    read = raw_images.FileChunk.read

    def slowly(self: raw_images.FileChunk, size: int) -> Iterator[np.ndarray]:
        begun.set()
        assert go_on.wait(60)
        yield from read(self, size)

    monkeypatch.setattr(raw_images.FileChunk, "read", slowly)
    first = threading.Thread(
        target=prepare, args=("celeba-hq", faces, out), kwargs={"splits": SPLITS, "workers": 1}
    )
    first.start()
    try:
        assert begun.wait(60)
        with pytest.raises(NogsError, match=r"another `prepare` is at work in .*out; wait for it"):
            prepare("celeba-hq", faces, out, splits=SPLITS, workers=1)
    finally:
        go_on.set()
        first.join()
    check_faces(out)
    assert [path.name for path in out.iterdir() if path.name.startswith(".")] == []


def test_stopped_run_goes_on_where_it_was(
    faces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(raw_images, "PER_CHUNK", 2)
    third, first = faces / "00002.png", faces / "00000.png"
    good, size = third.read_bytes(), first.stat().st_size
    third.write_bytes(b"no image")
    with pytest.raises(NogsError, match=r"00002\.png cannot be read as an image"):
        prepare("celeba-hq", faces, tmp_path / "out", splits=SPLITS, workers=1)
    assert not (tmp_path / "out" / "prepared.json").exists()
    third.write_bytes(good)
    changed = first.stat().st_mtime_ns
    first.write_bytes(b"0" * size)  # done already: must not be read again
    os.utime(first, ns=(changed, changed))
    check_faces(prepare("celeba-hq", faces, tmp_path / "out", splits=SPLITS, workers=1))


@pytest.mark.parametrize("damage", ["", "[]", "{"])
def test_a_damaged_note_or_array_of_a_stopped_run_is_made_again(
    damage: str, faces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(raw_images, "PER_CHUNK", 2)
    last, out = faces / "00004.png", tmp_path / "out"
    good = last.read_bytes()
    last.write_bytes(b"no image")
    with pytest.raises(NogsError, match=r"00004\.png"):
        prepare("celeba-hq", faces, out, splits=SPLITS, workers=1)
    (out / ".prepare" / "chunks" / "0.json").write_text(damage)
    if not damage:
        (out / ".prepare" / "images.npy").write_bytes(b"")
    last.write_bytes(good)
    check_faces(prepare("celeba-hq", faces, out, splits=SPLITS, workers=1))


@pytest.mark.parametrize("name", ["images.npy", "labels.npy", "numbers.npy"])
def test_files_of_others_are_not_replaced(name: str, faces: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / name).write_text("mine")
    with pytest.raises(NogsError, match=f"{name} is there, and no prepared.json"):
        prepare("celeba-hq", faces, out, splits=SPLITS, workers=1)
    assert (out / name).read_text() == "mine"
    assert [path.name for path in out.iterdir()] == [name]


def test_a_call_that_was_killed_at_the_end_goes_on(
    faces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The arrays lie in their places then, and the record does not."""

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(command, "write_json", killed)
        with pytest.raises(KeyboardInterrupt):
            prepare("celeba-hq", faces, tmp_path / "out", splits=SPLITS, workers=1)
    assert (tmp_path / "out" / "images.npy").exists()
    check_faces(prepare("celeba-hq", faces, tmp_path / "out", splits=SPLITS, workers=1))


def test_a_whole_folder_is_a_part_of_all_its_images(
    faces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(celeba, "SPLITS", SPLITS)
    out = prepare("celeba-hq", faces, tmp_path / "out", workers=1)
    given = ["prepare", "celeba-hq", "--source", str(faces), "--out", str(out), "--partial"]
    result = CliRunner().invoke(app, given)
    assert result.exit_code == 0, result.output
    assert "out has 5 of 5 images" in " ".join(result.output.split())


def test_a_part_without_images_of_a_split_says_so(
    faces: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The last image alone is of the test split."""
    (faces / "00004.png").unlink()
    out = prepare("celeba-hq", faces, tmp_path / "out", splits=SPLITS, partial=True, workers=1)
    assert "has no test images" in capsys.readouterr().err
    task = get_task("celeba-hq-male")
    assert len(load_split(task, "train", out))
    with pytest.raises(NogsError, match="celeba-hq-male: its images have none of the split test"):
        load_split(task, "test", out)


def test_a_folder_that_cannot_be_read_is_named(
    faces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (faces / "more").mkdir()
    scan = os.scandir

    def refusing(path: str) -> object:
        if Path(path).name == "more":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refusing)
    with pytest.raises(NogsError, match=r"more cannot be read \(Permission denied\)"):
        prepare("celeba-hq", faces, tmp_path / "out", splits=SPLITS, partial=True, workers=1)


def test_a_box_outside_of_its_photograph_names_it(tmp_path: Path) -> None:
    cub = write_cub(tmp_path / "CUB_200_2011")
    path = cub / "bounding_boxes.txt"
    first, *rest = path.read_text().splitlines()
    path.write_text("\n".join([f"{first.split()[0]} 900 900 5 5", *rest]))
    splits = Splits(train=3, validation=1, test=2, avp_validation=1)
    with pytest.raises(NogsError, match=r"\.jpg: a bounding box .* take the photographs as"):
        prepare("cub", cub, tmp_path / "out", splits=splits, workers=1)


def test_a_folder_of_another_dataset_is_named_as_out(faces: Path, tmp_path: Path) -> None:
    out = prepare("celeba-hq", faces, tmp_path / "out", splits=SPLITS, workers=1)
    bird = write_cub(tmp_path / "CUB_200_2011")
    splits = Splits(train=1, validation=1, test=0, avp_validation=1)
    with pytest.raises(NogsError, match="holds celeba-hq, not cub-100; give another --out"):
        prepare("cub-100", bird, out, splits=splits, workers=1)


def write_arrays(folder: Path, numbers: Sequence[int]) -> None:
    """File i holds the face of `numbers[i]`; all files are as large as each other."""
    for place, number in enumerate(numbers):
        np.save(folder / f"imgHQ{place:05}.npy", face(number).transpose(2, 0, 1)[None])


def test_arrays_that_changed_do_not_keep_their_old_pixels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same names and sizes, other pixels: decoded again, or refused once all is finished."""
    monkeypatch.setattr(raw_images, "PER_CHUNK", 2)
    folder, out = tmp_path / "faces", tmp_path / "out"
    folder.mkdir()
    write_labels(folder)
    write_arrays(folder, [4, 3, 2, 1, 0])
    last = folder / "imgHQ00004.npy"
    size, good = last.stat().st_size, last.read_bytes()
    last.write_bytes(b"no array")
    with pytest.raises(NogsError, match=r"imgHQ00004\.npy"):  # stopped; the others are decoded
        prepare("celeba-hq", folder, out, splits=SPLITS, workers=1)
    assert list((out / ".prepare").rglob("*.json"))
    write_arrays(folder, range(COUNT))
    assert last.stat().st_size == size == len(good)
    check_faces(prepare("celeba-hq", folder, out, splits=SPLITS, workers=1))
    write_arrays(folder, [4, 3, 2, 1, 0])
    with pytest.raises(NogsError, match="they changed since"):
        prepare("celeba-hq", folder, out, splits=SPLITS, workers=1)
    check_faces(out)


def test_finished_folder_is_verified_and_kept(faces: Path, tmp_path: Path) -> None:
    out = prepare("celeba-hq", faces, tmp_path / "out", splits=SPLITS, workers=1)
    before = (out / "images.npy").stat().st_mtime_ns
    prepare("celeba-hq", faces, out, splits=SPLITS)
    assert (out / "images.npy").stat().st_mtime_ns == before
    with (out / "images.npy").open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"\x07")
    with pytest.raises(NogsError, match=r"images\.npy is missing or changed"):
        prepare("celeba-hq", faces, out, splits=SPLITS)
    with pytest.raises(NogsError, match="choose another --out"):
        prepare("celeba-hq", faces, out, splits=Splits(2, 2, 1, 2))


def test_a_folder_of_more_images_than_the_tasks_is_refused(faces: Path, tmp_path: Path) -> None:
    """A part of a dataset will do. More can only be images of another split."""
    task = get_task("celeba-hq-male")
    out = prepare("celeba-hq", faces, tmp_path / "out", splits=SPLITS, workers=1)
    assert len(load_split(task, "train", out)) == 3
    few = replace(task, splits=replace(task.splits, train=2))
    with pytest.raises(NogsError, match=r"train: the task says 2 images, its source gives 3"):
        load_split(few, "train", out)


def test_missing_numbers_and_counts_are_refused(faces: Path, tmp_path: Path) -> None:
    with pytest.raises(NogsError, match="has 5 images, expected 30,000"):
        prepare("celeba-hq", faces, tmp_path / "out")
    (faces / "00003.png").rename(faces / "00013.png")
    for partial in (False, True):
        with pytest.raises(
            NogsError, match=r"has an image 13, and CelebA-HQ's are 0 \.\. 4; remove"
        ):
            prepare("celeba-hq", faces, tmp_path / "out", splits=SPLITS, partial=partial)
    (faces / "00013.png").unlink()
    with pytest.raises(NogsError, match="image 3 is missing; --partial keeps"):
        prepare("celeba-hq", faces, tmp_path / "out", splits=SPLITS)
    with pytest.raises(NogsError, match=r"unknown dataset to prepare 'celeba'.*'celeba-hq'"):
        prepare("celeba", faces, tmp_path / "out")


def test_source_refuses_other_folders(faces: Path, tmp_path: Path) -> None:
    with pytest.raises(NogsError, match=r"has no prepared\.json.*nogs-bench prepare celeba-hq"):
        CELEBA.load("train", faces)
    out = prepare("celeba-hq", faces, tmp_path / "out", splits=SPLITS, workers=1)
    with pytest.raises(NogsError, match="holds celeba-hq, not cub"):
        CUB.load("train", out)
    with pytest.raises(NogsError, match=r"no parts\.npy"):
        CELEBA.load_parts("train", out)
    (out / "prepared.json").write_text((out / "prepared.json").read_text()[:40])
    with pytest.raises(NogsError, match=r"prepared\.json is damaged"):
        CELEBA.load("train", out)


def test_cub_is_cropped_to_the_bird(tmp_path: Path) -> None:
    cub = write_cub(tmp_path / "CUB_200_2011")
    exclude = tmp_path / "exclude.txt"
    exclude.write_text("bird_5.jpg\n")
    splits = Splits(train=3, validation=1, test=1, avp_validation=1)
    out = prepare("cub", cub, tmp_path / "out", exclude=exclude, splits=splits, workers=1)
    assert isinstance(CUB, PreparedFolder)
    train = CUB.load("train", out)
    # Training images 0-3: the evenly spaced 0, 1, 3 are annotated, and 2 is held out.
    assert train.labels[:, 0].tolist() == [0, 1, 3]
    assert train.labels[1, 1:].nonzero()[0].tolist() == [1]
    assert CUB.load("validation", out).labels[0, 0] == 2
    assert CUB.load("test", out).labels[:, 0].tolist() == [4]
    record = json.loads((out / "prepared.json").read_text())
    assert record["counts"] == {"train": 3, "validation": 1, "test": 1}
    assert record["excluded"] == 1
    # The crop is 60 x 60 pixels around (80, 40), so from (50, 10): the box covers columns 10-50
    # and rows 20-40 of it, 128 / 60 times that after resizing.
    bright = train.images[0].mean(0) > 110
    rows, cols = np.flatnonzero(bright.any(1)), np.flatnonzero(bright.any(0))
    np.testing.assert_allclose([rows[0], rows[-1] + 1], np.array([20, 40]) * 128 / 60, atol=1.5)
    np.testing.assert_allclose([cols[0], cols[-1] + 1], np.array([10, 50]) * 128 / 60, atol=1.5)
    parts = CUB.load_parts("train", out)
    np.testing.assert_allclose(parts[0, 1], [31 * 128 / 60, 31 * 128 / 60, 1], rtol=1e-6)
    assert parts[0, :, 2].tolist() == [1] * 5 + [0] + [1] * 9


def test_cub_counts_that_are_not_expected_are_refused(tmp_path: Path) -> None:
    cub = write_cub(tmp_path / "CUB_200_2011")
    with pytest.raises(NogsError, match="expected 11,788"):
        prepare("cub", cub, tmp_path / "out")
    with pytest.raises(NogsError, match=r"gives 3 / 1 / 2 train.*expected 3 / 1 / 1"):
        prepare("cub", cub, tmp_path / "out", splits=SPLITS)


def test_crop_stops_at_the_edge_and_hides_what_is_outside() -> None:
    box = crop_box(np.array([0.0, 10.0, 40.0, 20.0]), (100, 45))
    assert box == (0, 0, 50, 45)
    parts = np.array([[[25.0, 9.0, 1.0], [60.0, 9.0, 1.0], [25.0, 9.0, 0.0]]])
    np.testing.assert_allclose(
        crop_parts(parts, [box], 128)[0, :, 2],
        [1, 0, 0],
    )
    np.testing.assert_allclose(crop_parts(parts, [box], 128)[0, 0, :2], [25.6, 64.0])
