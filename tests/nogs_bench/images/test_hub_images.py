"""Datasets that `datasets` loads, on this machine: columns, splits, labels, pixels."""

from __future__ import annotations

import io
import os
import tarfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, Value
from datasets import Image as ImageFeature
from PIL import Image
from typer.testing import CliRunner

from nogs_bench.builders.pipeline.command import made_folders
from nogs_bench.builders.pipeline.plan import BuildPlan, tasks_of
from nogs_bench.cli import app
from nogs_bench.errors import NogsError
from nogs_bench.images import HubImages, Label
from nogs_bench.images.hub.rows import ParquetRows
from nogs_bench.sequences import as_built
from nogs_bench.tasks import get_task, source_specs, task_file, task_of
from processes import python

KINDS = ("tern", "gull", "auk")
FLAG = ClassLabel(names=["no", "yes"])


@pytest.fixture(autouse=True)
def _caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")


def png(value: int) -> dict[str, Any]:
    file = io.BytesIO()
    Image.fromarray(np.full((20, 24, 3), (value, 255 - value, 9), np.uint8)).save(file, "PNG")
    return {"bytes": file.getvalue(), "path": None}


def rows(count: int, start: int = 0) -> dict[str, list[Any]]:
    numbers = range(start, start + count)
    return {
        "name": [f"photo {number}" for number in numbers],
        "picture": [png(number) for number in numbers],
        "species": [number % 3 for number in numbers],
        "flies": [number % 2 == 0 for number in numbers],
        "year": [1990 + number % 4 for number in numbers],
    }


FEATURES = Features(
    {
        "name": Value("string"),
        "picture": ImageFeature(),
        "species": ClassLabel(names=list(KINDS)),
        "flies": Value("bool"),
        "year": Value("int32"),
    }
)


def write_birds(folder: Path, **sizes: int) -> Path:
    folder.mkdir()
    start = 0
    for split, count in sizes.items():
        made = Dataset.from_dict(rows(count, start), features=FEATURES)
        made.to_parquet(folder / f"{split}-00000-of-00001.parquet")
        start += count
    (folder / "README.md").write_text(
        "---\nlicense: cc-by-4.0\n---\n# Birds\n\n```bibtex\n@misc{birds, title={B}}\n```\n"
    )
    return folder


def test_splits_are_kept_and_labels_found_by_type(tmp_path: Path) -> None:
    birds = write_birds(tmp_path / "birds", train=60, test=12)
    images = HubImages(str(birds), 8)
    assert images.labels == (Label("species", KINDS), Label("flies", ("false", "true")))
    assert (images.splits.test, images.splits.train) == (12, 60 - 6 - 6)
    test = images.load("test")
    assert sorted(test.labels.tolist()) == sorted([n % 3, int(n % 2 == 0)] for n in range(60, 72))
    # Each image is one colour, which says its number, which says its labels.
    for split in ("train", "validation", "test", "avp_validation"):
        part = images.load(split)
        number = part.images[:, 0, 4, 4].astype(int)
        np.testing.assert_array_equal(part.labels, np.column_stack([number % 3, number % 2 == 0]))
        np.testing.assert_array_equal(part.images[:, 1, 0, 0], 255 - number)
    years = HubImages(str(birds), 8, label=("year",))
    assert years.labels == (Label("year", ("1990", "1991", "1992", "1993")),)
    with pytest.raises(NogsError, match=r"no column of labels 'colour'; it has name, species"):
        HubImages(str(birds), 8, label=("colour",))


def test_a_path_that_is_a_pattern_is_refused_with_a_way_out(tmp_path: Path) -> None:
    birds = write_birds(tmp_path / "birds[1]", train=6)
    with pytest.raises(NogsError, match=r"with '\[' in its path.*rename"):
        HubImages(str(birds), 8)


def test_texts_and_missing_labels(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = Dataset.from_dict(
        {
            "picture": [png(number) for number in range(40)],
            "file": [f"{number}.png" for number in range(40)],
            "kind": [None if number == 7 else KINDS[number % 3] for number in range(40)],
        },
        features=Features(
            {"picture": ImageFeature(), "file": Value("string"), "kind": Value("string")}
        ),
    )
    made.to_parquet(tmp_path / "gulls.parquet")
    images = HubImages(str(tmp_path / "gulls.parquet"), 8)
    assert images.labels == (Label("kind", ("auk", "gull", "tern")),)
    assert sum(vars(images.splits).values()) == 39
    assert "passed over 1 of 40 images without a label" in capsys.readouterr().err


def test_a_class_called_none_is_not_what_has_no_label(tmp_path: Path) -> None:
    kinds = [None if n % 4 == 3 else ("None", "mole", "wart")[n % 3] for n in range(48)]
    made = Dataset.from_dict(
        {"image": [png(n) for n in range(48)], "lesion": kinds},
        features=Features({"image": ImageFeature(), "lesion": Value("string")}),
    )
    made.to_parquet(tmp_path / "skin.parquet")
    images = HubImages(str(tmp_path / "skin.parquet"), 8)
    assert images.labels == (Label("lesion", ("None", "mole", "wart")),)
    assert sum(vars(images.splits).values()) == 36


def test_a_row_without_an_image(tmp_path: Path) -> None:
    made = rows(40)
    made["picture"][5] = None
    (tmp_path / "birds").mkdir()
    Dataset.from_dict(made, features=FEATURES).to_parquet(tmp_path / "birds" / "train.parquet")
    with pytest.raises(NogsError, match="train: row 5 has no image; remove it"):
        task_of(f"hf:{tmp_path / 'birds'}")


def test_columns_that_cannot_be_labels_are_named(tmp_path: Path) -> None:
    (tmp_path / "birds").mkdir()
    made = Dataset.from_dict(
        {"picture": rows(9)["picture"], "weight": [n / 7 for n in range(9)]},
        features=Features({"picture": ImageFeature(), "weight": Value("float32")}),
    )
    made.to_parquet(tmp_path / "birds" / "train.parquet")
    with pytest.raises(NogsError, match=r"no column of labels, .* it has weight"):
        task_of(f"hf:{tmp_path / 'birds'}")


def test_a_label_of_too_few_images_each_is_refused_at_once(tmp_path: Path) -> None:
    birds = write_birds(tmp_path / "birds", train=40)
    with pytest.raises(NogsError, match=r"class photo 0 has too few images \(1\) for 4 splits"):
        task_of(f"hf:{birds}", label="name")


def test_a_class_without_images_is_no_hindrance(tmp_path: Path) -> None:
    made = rows(60)
    kinds = ClassLabel(names=[*KINDS, "dodo"])
    (tmp_path / "birds").mkdir()
    features = Features({"picture": ImageFeature(), "species": kinds})
    made = {name: made[name] for name in features}
    Dataset.from_dict(made, features=features).to_parquet(tmp_path / "birds" / "train.parquet")
    assert len(task_of(f"hf:{tmp_path / 'birds'}").classes) >= 3


def test_a_dataset_without_train_says_so(tmp_path: Path) -> None:
    birds = write_birds(tmp_path / "birds", validation=30, test=30)
    with pytest.raises(NogsError, match="a task needs one called train"):
        HubImages(str(birds), 8)


def test_all_labels_are_checked_at_once(tmp_path: Path) -> None:
    birds = write_birds(tmp_path / "birds", train=60)
    done = CliRunner().invoke(app, ["task", f"hf:{birds}", "--label", "*", "--check"])
    assert done.exit_code == 0, done.output
    assert isinstance(done.exception, SystemExit | None)


def test_each_label_is_judged_by_its_own_classes(tmp_path: Path) -> None:
    """Half of the birds are pale, a few are bald; years are four and even."""
    numbers = range(200)
    made = {
        "image": [png(number) for number in numbers],
        "pale": [number % 2 == 0 for number in numbers],
        "bald": [number % 20 == 0 for number in numbers],
        "year": [number % 4 for number in numbers],
    }
    years = ClassLabel(names=["1990", "1991", "1992", "1993"])
    features = {"pale": Value("bool"), "bald": Value("bool"), "year": years}
    shown = Features({"image": ImageFeature(), **features})
    place = f"hf:{tmp_path / 'photos.parquet'}"
    Dataset.from_dict(made, features=shown).to_parquet(tmp_path / "photos.parquet")
    tasks = {
        task.labels[task.target].name: task for task in tasks_of(source_specs(place, label="*"))
    }
    found = {
        name: (task.judged_by, task.protocol().target_accuracy) for name, task in tasks.items()
    }
    # Half-way between a constant answer and 1: of accuracy, or of balanced accuracy.
    assert found == {
        "pale": ("accuracy", 0.75),
        "bald": ("balanced_accuracy", 0.75),
        "year": ("accuracy", 0.62),
    }
    assert tasks["year"].description.startswith("4 classes of photos")
    # They are still of one family, and built together.
    plan = BuildPlan(tuple(source_specs(place, label="*")), tmp_path / "out")
    assert len(plan.tasks) == 3
    assert made_folders(tmp_path, place, label="pale") == [tmp_path]
    folders = [tmp_path / f"photos-{name}" for name in tasks]
    assert made_folders(tmp_path, place, label="*") == folders
    with pytest.raises(NogsError, match="a task for each of pale, bald, year, and a file has one"):
        task_file(place, label="*")


def test_labels_that_would_be_one_dataset_are_refused(tmp_path: Path) -> None:
    made = {"image": [png(n) for n in range(60)], "a b": [True, False] * 30}
    made["a/b"] = made["a b"][::-1]
    shown = Features({"image": ImageFeature(), "a b": Value("bool"), "a/b": Value("bool")})
    Dataset.from_dict(made, features=shown).to_parquet(tmp_path / "signs.parquet")
    specs = source_specs(f"hf:{tmp_path / 'signs.parquet'}", label="*")
    with pytest.raises(NogsError, match="the labels a b and a/b would be built as one dataset"):
        tasks_of(specs)


def test_long_names_keep_the_labels_apart(tmp_path: Path) -> None:
    birds = write_birds(tmp_path / ("seen-at-the-lake-" * 4), train=60)
    names = [get_task(spec).name for spec in source_specs(f"hf:{birds}", label="*")]
    assert [name.rpartition("-")[2] for name in names] == ["species", "flies"]
    assert max(map(len, names)) <= 60


def test_a_file_that_changes_while_it_is_open_shows_what_it_holds(tmp_path: Path) -> None:
    """In this process, and in another that finds decoded images."""
    file, shown = tmp_path / "grey.parquet", Features({"picture": ImageFeature(), "bright": FLAG})

    def written(start: int) -> set[int]:
        made = {"picture": [png(start + n) for n in range(40)], "bright": [0, 1] * 20}
        Dataset.from_dict(made, features=shown).to_parquet(file)
        return set(range(start, start + 40))

    def seen(images: HubImages) -> set[int]:
        rows = [images.load(split).images for split in ("train", "validation", "test")]
        return {int(value) for part in rows for value in part[:, 0, 0, 0]}

    first = written(0)
    old = HubImages(str(file), 8)
    assert seen(old) < first
    second = written(100)
    assert seen(HubImages(str(file), 8)) < second
    assert seen(old) < second
    code = (
        "from nogs_bench.images import HubImages\n"
        f"print(HubImages({str(file)!r}, 8).load('train').images[:, 0, 0, 0].min())"
    )
    assert int(python(code, dict(os.environ), tmp_path).stdout) >= 100


def test_a_dataset_is_a_family_of_tasks(tmp_path: Path) -> None:
    birds = write_birds(tmp_path / "birds", train=60)
    task = task_of(f"hf:{birds}")
    assert (task.name, task.family, task.target) == ("birds-species", "birds", 0)
    assert task.images_licence == "cc-by-4.0"
    assert task.images_may_ship
    assert "@misc{birds" in task.caveats[0]
    specs = source_specs(f"hf:{birds}", label="*")
    assert [get_task(spec).name for spec in specs] == ["birds-species", "birds-flies"]
    assert get_task(specs[1]).classes == ("false", "true")
    assert get_task(specs[1]).source == task.source
    assert get_task(specs[0]) == task_of(f"hf:{birds}", label="*") != task
    assert task_of(f"hf:{birds}", labels=2) == get_task(specs[0])
    for place, choices in ((f"hf:{birds}", {"label": "*"}), (f"hf:{birds}?label=*", {})):
        with pytest.raises(NogsError, match="has 2 labels; name one"):
            as_built(place, None, choices)
    file = birds / "train-00000-of-00001.parquet"  # says no more than a split
    assert task_of(f"hf:{file}").name == "birds-species"
    alone = task_of(f"hf:{birds}", label="flies")
    assert [label.name for label in alone.labels] == ["flies"]
    (tmp_path / "mine.py").write_text(task_file(f"hf:{birds}"), encoding="utf-8")
    assert get_task(f"{tmp_path / 'mine.py'}:task") == task


def test_what_cannot_be_had_is_said_in_a_line(tmp_path: Path) -> None:
    with pytest.raises(NogsError, match=r"no such dataset \./absent"):
        HubImages("./absent", 8)
    (tmp_path / "empty").mkdir()
    with pytest.raises(NogsError, match="cannot be loaded"):
        HubImages(str(tmp_path / "empty"), 8)
    made = Dataset.from_dict({"text": ["a", "b"]})
    DatasetDict({"train": made})["train"].to_parquet(tmp_path / "texts.parquet")
    with pytest.raises(NogsError, match="no column of images; its columns are text"):
        HubImages(str(tmp_path / "texts.parquet"), 8)


def test_without_a_network_it_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(NogsError, match=r"no dataset birds/absent: http\S+ is out of reach"):
        HubImages("birds/absent", 8)


def test_a_webdataset_of_two_tars(tmp_path: Path) -> None:
    """`NUMBER.png` and `NUMBER.cls` beside it; the tars' own columns are no labels."""
    folder = tmp_path / "gulls"
    folder.mkdir()
    for part in range(2):
        with tarfile.open(folder / f"train-{part:05d}.tar", "w") as tar:
            for number in range(30 * part, 30 * part + 30):
                for name, content in (
                    (f"{number:03d}.png", png(number)["bytes"]),
                    (f"{number:03d}.cls", str(number % 3).encode()),
                ):
                    info = tarfile.TarInfo(name)
                    info.size = len(content)
                    tar.addfile(info, io.BytesIO(content))
    images = HubImages(str(folder), 8)
    assert images.labels == (Label("cls", ("0", "1", "2")),)
    assert sum(vars(images.splits).values()) == 60
    part = images.load("train")
    np.testing.assert_array_equal(part.labels[:, 0], part.images[:, 0, 4, 4] % 3)


@pytest.mark.parametrize("group", [1_000, 70, 7])
def test_parquet_s_rows_in_any_order(group: int, tmp_path: Path) -> None:
    """Against the table itself: in order, backwards, at random, and by threads."""
    files = tuple(tmp_path / f"{name}.parquet" for name in "ab")
    contents = [f"{number}".encode() * 40 for number in range(500)]
    for file, start, end in ((files[0], 0, 300), (files[1], 300, 500)):
        table = pa.table({"kind": list(range(start, end)), "picture": contents[start:end]})
        pq.write_table(table, file, row_group_size=group)
    rows = ParquetRows(files, {})
    assert len(rows) == 500
    assert rows.values("kind") == list(range(500))
    shuffled = np.random.default_rng(0).permutation(500).tolist()
    for order in (range(500), range(499, -1, -1), shuffled):
        assert [rows.picture("picture", row) for row in order] == [contents[row] for row in order]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda row: rows.picture("picture", row), range(500))) == contents


MEMORY = """
import sys
import pyarrow
from nogs_bench.tasks import choices_of
place, chosen = choices_of("hf:" + sys.argv[1])
print(place.facts().images, chosen["image_size"], pyarrow.default_memory_pool().max_memory())
"""


@pytest.mark.slow
def test_two_hundred_thousand_images_are_not_held(tmp_path: Path) -> None:
    """400 MB of images in one row group; no more than some megabytes are there at once."""
    content = png(9)["bytes"]
    noise = np.random.default_rng(0).bytes(2_000)
    table = pa.table(
        {
            "image": [content + noise + str(number).encode() for number in range(200_000)],
            "kind": [KINDS[number % 3] for number in range(200_000)],
        }
    )
    pq.write_table(table, tmp_path / "train.parquet", row_group_size=200_000)
    del table
    env = {**os.environ, "HF_HOME": str(tmp_path / "home")}
    done = python(MEMORY, env, tmp_path, tmp_path / "train.parquet")
    images, size, most = map(int, done.stdout.split())
    assert (images, size) == (200_000, 20)
    assert most < 50_000_000
    assert not list((tmp_path / "home").rglob("*.arrow"))
