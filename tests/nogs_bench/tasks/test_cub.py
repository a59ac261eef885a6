"""The CUB task against the paper, its splits, and the reading of CUB's text files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from cub_folder import write_cub
from nogs_bench.builders.prepare.cub_layout import (
    read_attributes,
    read_boxes,
    read_exclusions,
    read_images,
    read_parts,
)
from nogs_bench.errors import NogsError
from nogs_bench.tasks.families.cub import split_numbers
from nogs_bench.tasks.families.cub_species import SPECIES
from nogs_bench.tasks.task import get_task


def test_facts_are_section_6s_and_appendix_bs() -> None:
    task = get_task("cub-200")
    assert task.grid.shape == (13, 13)
    assert task.grid.rows[-1] == 96
    assert len(task.classes) == len(set(SPECIES)) == 200
    assert len(task.labels) == 1 + 312
    assert task.protocol().pretraining is not None
    # Table 1's iterations are whole epochs of 5,120 images in batches of 64.
    assert task.training.evaluation_period == 80
    assert task.protocol().pretraining.iterations == 250 * 5120 / 64
    assert task.reference["ps-nogs"] == {"iterations": 640, "test_accuracy": 0.554}
    json.dumps(task.summary())


@pytest.mark.parametrize(
    ("number", "name"),
    [(1, "Black_footed_Albatross"), (45, "Northern_Fulmar"), (200, "Common_Yellowthroat")],
)
def test_species_have_cubs_numbers(number: int, name: str) -> None:
    assert SPECIES[number - 1] == name


def test_official_split_of_11788_gives_the_papers_counts() -> None:
    is_training = np.zeros(11_788, bool)
    is_training[np.random.default_rng(0).permutation(11_788)[:5_994]] = True
    training, test = np.flatnonzero(is_training), np.flatnonzero(~is_training)
    numbers = split_numbers(is_training, set(test[:43].tolist()))
    assert [len(rows) for rows in numbers.values()] == [5_120, 874, 5_751]
    together = np.concatenate(list(numbers.values()))
    assert sorted([*together, *test[:43]]) == list(range(11_788))
    # The released sequences are those of every sixth training image, from first to last.
    assert numbers["train"][0] == training[0]
    assert numbers["train"][999] == training[-1]
    steps = np.diff(np.searchsorted(training, numbers["train"][:1_000]))
    assert set(steps.tolist()) == {5, 6}


def test_small_split_by_hand() -> None:
    is_training = np.array([1, 0, 1, 1, 1, 0, 1, 1], bool)
    numbers = split_numbers(is_training, {5}, annotated=3, validation=2)
    # Training images 0 2 3 4 6 7: positions 0, 2, 5 are annotated; of 2 4 6 the ends held out.
    assert numbers["train"].tolist() == [0, 3, 7, 4]
    assert numbers["validation"].tolist() == [2, 6]
    assert numbers["test"].tolist() == [1]


def test_excluding_a_training_image_is_refused() -> None:
    with pytest.raises(NogsError, match=r"image 1 of images\.txt cannot be excluded"):
        split_numbers(np.array([True, False]), {0}, annotated=1, validation=0)


def test_layout_is_read_as_caltech_writes_it(tmp_path: Path) -> None:
    cub = write_cub(tmp_path / "CUB_200_2011")
    images = read_images(cub, 6)
    assert images.paths[2] == "003.Sooty_Albatross/bird_2.jpg"
    assert images.is_training.tolist() == [True, True, True, True, False, False]
    assert images.species.tolist() == [0, 1, 2, 3, 4, 5]
    np.testing.assert_array_equal(read_boxes(cub, 6)[1], [60, 30, 40, 20])
    attributes = read_attributes(cub, 6)
    assert attributes.shape == (6, 312)
    assert np.argwhere(attributes).tolist() == [[i, i] for i in range(6)]
    np.testing.assert_array_equal(read_parts(cub, 6)[0, 1], [81, 41, 1])
    exclusions = tmp_path / "exclude.txt"
    exclusions.write_text("bird_5.jpg\n005.Crested_Auklet/bird_4.jpg\n")
    assert read_exclusions(exclusions, images) == [5, 4]


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("images.txt", "3 003", "4 003", r"images\.txt, line 3: expected number 3, got '4'"),
        ("images.txt", "003.Sooty_Albatross/bird_2", "../../x", r"line 3: .* leaves the folder"),
        ("train_test_split.txt", "2 1", "2 7", "line 2: '7' is not allowed"),
        ("image_class_labels.txt", "6 6\n", "", "has 5 lines, expected 6"),
        ("classes.txt", "Sooty_Albatross", "Dodo", "does not list"),
        ("bounding_boxes.txt", "60.0 30.0", "60.0 nan", "line 1: expected 4 numbers"),
        ("bounding_boxes.txt", "40.0 20.0\n3", "0 20.0\n3", "line 2: the box of image 2 is empty"),
        ("attributes/image_attribute_labels.txt", "1 3 0", "1 3 x", "line 3: expected image"),
        ("attributes/image_attribute_labels.txt", "6 312 0 3 1.0\n", "", "lacks attribute 312 of"),
        ("parts/part_locs.txt", "1 2 81.0", "1 99 81.0", "line 2: no such image or part"),
    ],
)
def test_bad_layout_is_refused_by_file_and_line(
    tmp_path: Path, file: str, old: str, new: str, message: str
) -> None:
    cub = write_cub(tmp_path / "CUB_200_2011")
    text = (cub / file).read_text()
    assert old in text
    (cub / file).write_text(text.replace(old, new, 1))
    with pytest.raises(NogsError, match=message):
        read_images(cub, 6), read_boxes(cub, 6), read_attributes(cub, 6), read_parts(cub, 6)
