"""Importing the authors' released sequences: the archive itself where it is, else one made here."""

# ruff: noqa: F811  (fixtures take the names that they are imported by)

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from nogs_bench.builders.dataset.own_images import with_images
from nogs_bench.builders.dataset.parquet import LabelsOnly
from nogs_bench.builders.prepare.celeba_labels import read_attributes
from nogs_bench.builders.released import datasets as released
from nogs_bench.builders.released.archive import ReleasedSequences, read_released
from nogs_bench.builders.released.datasets import _cub, import_released
from nogs_bench.errors import NogsError
from nogs_bench.files.artefact import write_json
from nogs_bench.sequences.loading import load
from nogs_bench.tasks.families.celeba_hq import ATTRIBUTES
from nogs_bench.tasks.task import get_task
from released_files import BIRD, FACE, RELEASED, imported, inputs, write_tar  # noqa: F401


def test_41_folders_hold_24000_and_1000_annotated_rows(imported: list[Path]) -> None:
    assert len(imported) == 41
    counts = []
    for folder in imported:
        table = pq.read_table(folder / "annotations/train.parquet", columns=["index", "annotated"])
        annotated = table["annotated"].to_numpy()
        assert table["index"].to_numpy()[annotated].tolist() == list(range(annotated.sum()))
        counts.append(int(annotated.sum()))
    assert counts == [600] * 40 + [1000]
    rows = {
        split: pq.read_metadata(imported[0] / f"annotations/{split}.parquet").num_rows
        for split in ("train", "validation", "test")
    }
    assert rows == {"train": 27_000, "validation": 500, "test": 2_500}


def test_rows_are_what_the_files_say(inputs: tuple[Path, Path], imported: list[Path]) -> None:
    wanted = {"celebhq/20/7.txt": (20, 7), "birds/3.txt": (40, 3)}
    with tarfile.open(inputs[0]) as tar:
        for name, (folder, row) in wanted.items():
            text = tar.extractfile(f"optimal-sequences/{name}").read().decode()
            expected = [[int(n) for n in line.split(",")] for line in text.splitlines()[:5]]
            table = pq.read_table(imported[folder] / "annotations/train.parquet")
            assert table["glimpses"][row].as_py() == expected
    assert imported[20].name == "celeba-hq-male"


def test_labels_are_those_of_the_file(inputs: tuple[Path, Path], imported: list[Path]) -> None:
    table = np.genfromtxt(inputs[1], dtype=None, encoding="ascii", usecols=40)
    young = imported[list(ATTRIBUTES).index("Young")]
    stored = np.concatenate(
        [
            pq.read_table(young / f"annotations/{split}.parquet")["label"].to_numpy()
            for split in ("train", "validation", "test")
        ]
    )
    np.testing.assert_array_equal(stored, table > 0)


def test_origin_and_unknown_labels_are_recorded(imported: list[Path]) -> None:
    record = json.loads((imported[-1] / "provenance.json").read_text())
    assert "released by the authors" in record["origin"]
    assert record["made_by"]["licence"] == "unknown"
    assert "license: unknown" in (imported[0] / "README.md").read_text()
    labels = pq.read_table(imported[-1] / "annotations/train.parquet")["label"].to_numpy()
    assert set(labels.tolist()) == {-1}


def test_load_dataset_reads_it_offline(
    imported: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from datasets import load_dataset

    male = load_dataset(str(imported[20]), cache_dir=str(tmp_path))
    assert male["train"].features["label"].names == ["no", "yes"]
    assert male["train"][0]["annotated"]
    birds = load_dataset(str(imported[40]), cache_dir=str(tmp_path))
    assert {name: len(rows) for name, rows in birds.items()} == {"train": 1000}


@pytest.fixture(scope="module")
def faces(inputs: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `prepare` leaves of CelebA-HQ: a sparse file, black but for image 27,501's top."""
    folder = tmp_path_factory.mktemp("faces")
    shape = (30_000, 3, 224, 224)
    images = np.lib.format.open_memmap(folder / "images.npy", "w+", np.uint8, shape)
    images[27_501, 1, :2] = 200
    images.flush()
    np.save(folder / "labels.npy", read_attributes(inputs[1]))
    ends = {"train": [0, 27_000], "validation": [27_000, 27_500], "test": [27_500, 30_000]}
    record = {
        "dataset": "celeba-hq",
        "count": 30_000,
        "splits": ends | {"avp_validation": ends["validation"]},
        "digests": {},
    }
    write_json(folder / "prepared.json", record)
    return folder


def test_a_user_s_own_images_join_the_rows(imported: list[Path], faces: Path) -> None:
    male = load(imported[20], images=faces)
    row = male["test"][1]
    assert np.asarray(row["image"])[:, 0].tolist() == [[0, 200, 0]] * 2 + [[0, 0, 0]] * 222
    assert row["index"] == 1
    assert male["train"].select(range(600))[599]["image"].size == (224, 224)
    labels = np.load(faces / "labels.npy")[:27_000, 20]
    assert male["train"].with_format("numpy")["label"][:].tolist() == labels.tolist()
    with pytest.raises(NogsError, match=r"not 'default'"):
        load(imported[20], "default", images=faces)
    with pytest.raises(NogsError, match="nogs-bench prepare celeba-hq"):
        load(imported[20], images=True)
    with pytest.raises(NogsError, match="holds celeba-hq, not cub"):
        load(imported[40], images=faces)


def test_images_of_another_order_are_refused(
    imported: list[Path], faces: Path, tmp_path: Path
) -> None:
    labels = np.load(faces / "labels.npy")
    labels[5, 20] = 1 - labels[5, 20]
    np.save(tmp_path / "labels.npy", labels)
    for name in ("images.npy", "prepared.json"):
        (tmp_path / name).symlink_to(faces / name)
    with pytest.raises(NogsError, match="train: image 5 has label"):
        load(imported[20], images=tmp_path)
    rows = {"train": LabelsOnly(np.load(faces / "labels.npy")[:27_000])}
    male = get_task("celeba-hq-male")
    with pytest.raises(NogsError, match=r"its 27,000 images of train are not"):
        with_images(male, rows, {"celeba-hq": tmp_path})
    joined = with_images(male, rows, {"celeba-hq": faces})["train"]
    assert isinstance(joined.images.base, np.memmap)
    assert with_images(male, rows, {"cub": faces}) is rows


def test_own_images_are_written_for_the_tasks_asked_for(
    inputs: tuple[Path, Path], faces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = {}
    monkeypatch.setattr(
        released, "write_dataset", lambda task, out, **rows: written.update({task.name: rows})
    )
    tasks = ["celeba-hq-male", "cub-200"]
    import_released(*inputs, tmp_path, images=[faces], tasks=tasks)
    assert sorted(written) == tasks
    assert written["celeba-hq-male"]["test"].images[1, 1, 0, 0] == 200
    assert not hasattr(written["cub-200"]["train"], "images")
    for arguments, message in (
        ({"images": [faces, faces]}, "one folder of each"),
        ({"images": [tmp_path]}, r"has no prepared\.json"),
        ({"tasks": ["celeba-hq-men"]}, "none of that name"),
    ):
        with pytest.raises(NogsError, match=message):
            import_released(*inputs, tmp_path, **arguments)


@pytest.mark.skipif(not RELEASED.exists(), reason="the authors' archive is not here")
def test_released_archive_is_as_described(inputs: tuple[Path, Path]) -> None:
    """Counts that were taken from the release by other means."""
    sequences = read_released(inputs[0])
    faces = get_task("celeba-hq-male").grid.pixel_to_index(sequences.celeba)
    birds = get_task("cub-200").grid.pixel_to_index(sequences.birds)
    assert (faces[:, :, 0] == faces[:, :1, 0]).all()
    assert (sequences.birds[:, 0] == [40, 48]).all()
    repeats = [
        sum(len(set(row)) < 5 for row in rows.reshape(-1, 5).tolist()) for rows in (faces, birds)
    ]
    assert repeats == [3, 5]
    assert (sequences.birds == 96).any((1, 2)).sum() == 289


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("celebhq/0/0.txt", FACE.replace("92, 118", "92; 118"), r"0\.txt, line 2: expected 'row"),
        ("celebhq/0/0.txt", FACE.replace("181", "180"), r"line 5: .*\(180, 21\) is off.*181, 21"),
        ("celebhq/0/0.txt", FACE[:-8], "line 4: 4 lines, expected 5"),
        ("celebhq/0/0.txt", FACE.replace("76,", "7\u00e9,"), "line 3: not plain text"),
        ("celebhq/40/0.txt", FACE, "no such sequence is known"),
        ("birds/0.txt", BIRD.replace("32, 24", "97, 24"), r"line 5: location \(97, 24\)"),
        ("birds/0.txt", BIRD.replace("8.png", "11788.png"), "line 6: expected an image 0.png"),
        ("birds/0.txt", BIRD.replace("8.png", ".png"), "line 6: expected an image"),
        ("birds/0.txt", BIRD, r"celebhq/0/0\.txt is missing, and 23,999 others"),
    ],
)
def test_a_bad_archive_is_refused_by_file_and_line(
    tmp_path: Path, name: str, text: str, message: str
) -> None:
    archive = write_tar(tmp_path / "bad.tar.gz", [(f"x/{name}", text)])
    with pytest.raises(NogsError, match=message) as as_tar:
        read_released(archive)
    path = tmp_path / "x" / name
    path.parent.mkdir(parents=True)
    path.write_bytes(text.encode())
    with pytest.raises(NogsError, match=message) as as_folder:
        read_released(tmp_path / "x")
    assert "\n" not in str(as_tar.value) + str(as_folder.value)


def test_a_sequence_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    archive = write_tar(tmp_path / "two.tar", [("celebhq/3/5.txt", FACE)] * 2)
    with pytest.raises(NogsError, match=r"celebhq/3/5\.txt: this sequence is in the archive twice"):
        read_released(archive)


def test_links_and_truncation_are_refused(tmp_path: Path) -> None:
    link = tmp_path / "link.tar"
    with tarfile.open(link, "w") as tar:
        member = tarfile.TarInfo("../../celebhq/0/0.txt")
        member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(member)
    with pytest.raises(NogsError, match="a link"):
        read_released(link)
    whole = write_tar(tmp_path / "whole.tar.gz", [(f"birds/{i}.txt", BIRD) for i in range(50)])
    cut = tmp_path / "cut.tar.gz"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    with pytest.raises(NogsError, match="is damaged"):
        read_released(cut)
    content = bytearray(whole.read_bytes())
    content[-8] ^= 1  # the checksum
    cut.write_bytes(content)
    with pytest.raises(NogsError, match="is damaged"):
        read_released(cut)
    with pytest.raises(NogsError, match="no such archive"):
        read_released(tmp_path / "none.tar")


def test_cub_folder_gives_labels_and_must_agree_with_the_release(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nogs_bench.builders.prepare.cub_layout import CubImages

    is_training = np.arange(11_788) % 2 == 0
    is_training[-200:-100] = True
    species = np.arange(11_788) % 200
    images = CubImages(tuple(f"{i}.jpg" for i in range(11_788)), is_training, species)
    monkeypatch.setattr(released, "read_images", lambda folder: images)
    training = np.flatnonzero(is_training)
    annotated = training[[int(place) for place in np.linspace(0, len(training) - 1, 1000)]]
    sequences = ReleasedSequences(
        np.zeros((40, 600, 5, 2), np.int64), np.zeros((1000, 5, 2), np.int64), annotated
    )
    folder = _cub(sequences, tmp_path, None, {})
    np.testing.assert_array_equal(folder.rows["train"].labels[:1000, 0], annotated % 200)
    assert (folder.rows["train"].labels[:, 1:] == -1).all()
    sequences.bird_images[17] += 1
    with pytest.raises(NogsError, match=r"birds/17\.txt is about image"):
        _cub(sequences, tmp_path, None, {})
