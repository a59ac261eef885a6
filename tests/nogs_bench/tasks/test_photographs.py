"""The tasks of real photographs: their geometry, splits and names."""

from __future__ import annotations

import json

import pytest

from nogs_bench.errors import NogsError
from nogs_bench.tasks import TASKS, get_task
from nogs_bench.tasks.families.celeba_10k import CELEBA_10K, POSITIVES
from nogs_bench.tasks.families.cub import CUB
from nogs_bench.tasks.families.cub_100 import SPECIES
from nogs_bench.tasks.families.cub_species import SPECIES as ALL_SPECIES

NAMES = ("celeba-10k-smiling", "utkface-gender", "utkface-age", "cub-100")


def test_forty_attributes_are_named_as_celeba_hqs() -> None:
    assert len(CELEBA_10K) == len(POSITIVES) == 40
    assert get_task("celeba-10k-5-o-clock-shadow").target == 0
    small = {name.removeprefix("celeba-10k-") for name in TASKS.names() if "-10k-" in name}
    large = {name.removeprefix("celeba-hq-") for name in TASKS.names() if "celeba-hq-" in name}
    assert small == large
    for task in CELEBA_10K:
        other = get_task(task.name.replace("10k", "hq"))
        assert (task.target, task.labels) == (other.target, other.labels)


def test_geometry_is_as_stated() -> None:
    celeba, face, bird = (get_task(name) for name in (NAMES[0], NAMES[1], NAMES[3]))
    assert (celeba.image_size, celeba.glimpse_size, celeba.grid.shape) == (88, 8, (21, 21))
    assert face.grid == get_task("celeba-hq-male").grid
    assert (bird.grid, bird.training.embedder) == (CUB.grid, CUB.training.embedder)
    assert sum(vars(celeba.splits).values()) == 10_000
    assert sum(vars(face.splits).values()) == 23_705
    # The validation images of the birds serve twice, as the paper's.
    splits = bird.splits
    assert splits.train + splits.validation == 2_999
    assert splits.validation == splits.avp_validation
    assert len(SPECIES) == len(set(SPECIES)) == 100
    assert set(SPECIES) <= set(ALL_SPECIES)


@pytest.mark.parametrize("name", NAMES)
def test_each_says_where_its_images_are_and_that_they_may_not_ship(name: str) -> None:
    task = get_task(name)
    assert not task.images_may_ship
    assert task.caveats
    family = task.family
    with pytest.raises(NogsError, match=rf"may not be redistributed.*prepare {family}.*--data DIR"):
        task.source.load("train")
    json.dumps(task.summary())


@pytest.mark.parametrize("name", NAMES)
def test_what_a_build_needs_is_left_for_the_avp(name: str) -> None:
    task = get_task(name)
    kept = max(task.annotation.images, task.annotation.reserved)
    assert task.splits.train - kept - task.annotation.bank_images >= 10 * task.avp.batch_size


def test_ages_and_genders_are_the_only_labels_of_utkface() -> None:
    """The names of its files say race too, which is left out on purpose."""
    labels = get_task("utkface-age").labels
    assert [label.name for label in labels] == ["gender", "age"]
    assert [len(label.classes) for label in labels] == [2, 5]
