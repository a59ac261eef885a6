"""Many images and labels annotated at once, against one at a time."""

import json
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest

from nogs_bench.builders.bank import Fold, assign_roles
from nogs_bench.builders.completion.retrieval import Retrieval
from nogs_bench.builders.pipeline.command import build
from nogs_bench.builders.pipeline.plan import tasks_of
from nogs_bench.builders.posterior.oracle import BankPosterior, exact_epe
from nogs_bench.builders.search import annotate as annotate_module
from nogs_bench.builders.search.annotate import Annotator
from nogs_bench.errors import NogsError
from nogs_bench.images.labelled import LabelledImages
from tiny import Corner, corner_task
from two_corners import family, two_corners
from weights import trained


def annotator(task, targets=(), search="racing", **options):
    settings = replace(task.annotation, search=search)
    task = replace(task, annotation=settings)
    bank = two_corners(7, 150)
    return Annotator(
        task, trained(task), Retrieval(bank, task.grid, settings), 0, targets=targets, **options
    )


@pytest.mark.parametrize("search", ["exhaustive", "racing"])
@pytest.mark.parametrize("observed", ["sample", "pasted"])
def test_together_is_one_at_a_time(monkeypatch, search, observed):
    """Images in groups of three, both labels at once, against each image and label alone."""
    monkeypatch.setattr(annotate_module, "GROUP", 3)
    right, left = (
        replace(task, annotation=replace(task.annotation, observed=observed)) for task in family()
    )
    images, numbers = two_corners(8, 7).images, [3, 0, 9, 12, 5, 6, 40]
    both = annotator(right, (0, 1), search)
    made = both.annotate(images, numbers, both.first_step())
    assert made.cells.shape == (7, 2, 3)
    alone_evaluations = 0
    for label, task in enumerate((right, left)):
        one = annotator(task, search=search)
        first = one.first_step()
        for place, number in enumerate(numbers):
            alone = one.annotate(images[place : place + 1], [number], first)
            np.testing.assert_array_equal(made.cells[place, label], alone.cells[0, 0])
            np.testing.assert_allclose(made.epe[place, label], alone.epe[0, 0], rtol=1e-5)
            np.testing.assert_allclose(made.maps[place, label], alone.maps[0, 0], atol=2e-3)
            alone_evaluations += alone.evaluations[0]
    # Labels whose sequences agree share posteriors: never more, and less where any agree.
    assert made.evaluations.sum() <= alone_evaluations


def test_labels_that_agree_cost_one_pass():
    """At T = 2 with equal first glimpses, the second step of both labels is evaluated once."""
    task = replace(family()[0], T=2)
    one, both = annotator(task, (0,), "exhaustive"), annotator(task, (0, 1), "exhaustive")
    images, (first,) = two_corners(8, 4).images, one.first_step()
    single, double = one.annotate(images, range(4), [first]), None
    double = both.annotate(images, range(4), [first, first])
    np.testing.assert_array_equal(double.evaluations, single.evaluations)
    assert (double.evaluations > 0).all()


def test_bfloat16_is_near():
    task = family()[0]
    exact, near = (annotator(task, search="exhaustive", precision=p) for p in PRECISIONS)
    images = two_corners(8, 3).images
    first = exact.first_step()
    a, b = (one.annotate(images, range(3), first) for one in (exact, near))
    assert not np.array_equal(a.maps[:, :, 1], b.maps[:, :, 1])
    np.testing.assert_allclose(a.maps[:, :, 1], b.maps[:, :, 1], atol=0.05)


PRECISIONS = ("float32", "bfloat16")


def test_a_family_builds_one_folder_a_task(tmp_path):
    tasks = family()
    settings = {"images": 12, "workers": 1, "threads": 1, "device": "cpu"}
    out = build(tasks, tmp_path / "both", **settings)
    assert (
        sorted(p.name for p in out.iterdir() if p.name != ".build") == [t.name for t in tasks][::-1]
    )
    records = [json.loads((out / t.name / "provenance.json").read_text()) for t in tasks]
    assert [r["task"] for r in records] == [t.name for t in tasks]
    keys = {r["made_by"]["stages"]["posterior"]["key"] for r in records}
    assert len(keys) == 1
    alone = build(tasks[0], tmp_path / "alone", **settings)
    rows = [
        pq.read_table(folder / "annotations" / "train.parquet").slice(0, 12).to_pylist()
        for folder in (out / tasks[0].name, alone)
    ]
    assert [row["glimpses"] for row in rows[0]] == [row["glimpses"] for row in rows[1]]


def test_a_bank_s_own_posterior_knows_one_label(tmp_path):
    with pytest.raises(NogsError, match="one by one"):
        build(family(), tmp_path / "x", posterior="bank", workers=1, device="cpu", images=4)


def test_tasks_that_differ_are_not_built_together(tmp_path):
    right, left = family()
    with pytest.raises(NogsError, match="differ in T"):
        build((right, replace(left, T=2)), tmp_path / "x")
    with pytest.raises(NogsError, match="the same label"):
        build((right, right), tmp_path / "x")
    with pytest.raises(NogsError, match="no task matches 'celeba-hw"):
        build("celeba-hw-*", tmp_path / "x")
    assert len(tasks_of("celeba-hq-*")) == 40


def test_folds_annotate_every_image_with_what_never_saw_it(tmp_path):
    task = corner_task()
    train = task.source.load("train").images
    parts = [assign_roles(task, 400, 0, None, fold=Fold(number, 3)) for number in range(3)]
    numbers = np.concatenate([part.numbers for part in parts])
    assert sorted(numbers.tolist()) == list(range(400))
    for part in parts:
        np.testing.assert_array_equal(part.annotated.images, train[part.numbers])
        sets = [
            {image.tobytes() for image in images.images}
            for images in (part.annotated, part.bank, part.avp(0), part.avp_validation)
        ]
        assert len(set.union(*sets)) == sum(map(len, sets))
    settings = {"posterior": "bank", "images": 400, "folds": 2, "threads": 1, "device": "cpu"}
    one = build(task, tmp_path / "one", workers=1, **settings)
    rows = pq.read_table(one / "annotations" / "train.parquet").to_pylist()
    assert all(row["annotated"] for row in rows)
    assert all(row["glimpses"][0] == [8, 8] for row in rows)
    record = json.loads((one / "provenance.json").read_text())
    assert len(record["made_by"]["folds"]) == 2
    assert record["quality"]["built"]["accuracy"][0] > 0.95
    reliability = record["calibration"]["reliability"]
    assert [sum(curve["count"]) for curve in reliability] == [400, 400]
    two = build(task, tmp_path / "two", workers=2, **settings)
    for name in ("annotations/train.parquet", "maps/train.parquet"):
        assert (one / name).read_bytes() == (two / name).read_bytes()


def test_all_folds_share_the_first_glimpse(tmp_path):
    """Where all cells are alike, each fold's own race would choose another."""
    settings = {"posterior": "bank", "images": 60, "folds": 3, "workers": 1, "device": "cpu"}
    task = corner_task(source=Noise())
    made = build(task, tmp_path / "one", overrides={"annotation.first_samples": 9}, **settings)
    rows = pq.read_table(made / "annotations" / "train.parquet").to_pylist()
    assert len({tuple(row["glimpses"][0]) for row in rows if row["annotated"]}) == 1
    maps = [row["epe_map"][0] for row in pq.read_table(made / "maps" / "train.parquet").to_pylist()]
    assert all(each == maps[0] for each in maps)


@pytest.mark.parametrize(("images", "folds"), [(30, 1), (31, 1), (120, 2), (121, 3)])
def test_copies_of_annotated_images_play_no_part(images, folds):
    """Of 400 training images, each is there twice, as a division keeps them: side by side."""
    task = corner_task(source=Twice())
    annotated = []
    for number in range(folds):
        roles = assign_roles(task, images, 0, None, fold=Fold(number, folds))
        annotated += roles.numbers.tolist()
        mine = {image.tobytes() for image in roles.annotated.images}
        for others in (roles.bank, roles.avp(0)):
            assert len(others) > 50
            assert not mine & {image.tobytes() for image in others.images}
    assert sorted(annotated) == list(range(images))


def test_copies_that_leave_too_few_are_said():
    task = corner_task(source=Twice())
    with pytest.raises(NogsError, match=r"0 images are left to annotate.*remove the copies"):
        assign_roles(task, 2, 0, None, fold=Fold(1, 2))
    task = replace(task, annotation=replace(task.annotation, bank_images=268))
    with pytest.raises(NogsError, match="268 for a bank of 268 and 0 for the AVP"):
        assign_roles(task, 131, 0, None)


class Twice(Corner):
    """`Corner`, each training image beside a copy."""

    def load(self, split, data=None):
        found = super().load(split, data)
        rows = np.arange(len(found)) // 2 if split == "train" else np.arange(len(found))
        return found[rows]


class Noise(Corner):
    """Images that tell nothing."""

    def load(self, split, data=None):
        found = super().load(split, data)
        seed = [name for name, _ in self.sizes].index(split)
        noise = np.random.default_rng(seed).integers(256, size=found.images.shape, dtype=np.uint8)
        return LabelledImages(noise, found.labels)


def test_folds_where_there_are_none_to_make(tmp_path):
    with pytest.raises(NogsError, match="leave --folds out"):
        build("cluttered-digits", tmp_path / "x", folds=2)
    with pytest.raises(NogsError, match=r"--folds 2"):
        build(corner_task(), tmp_path / "x", images=400)
    with pytest.raises(NogsError, match="--folds must be at least 1"):
        build(corner_task(), tmp_path / "x", folds=0)


def test_the_bound_covers_the_oracle_s_least():
    """On a finite bank the EPE is known exactly; the race sees draws of the images that match."""
    rng = np.random.default_rng(0)
    task = corner_task()
    images = (rng.integers(0, 2, size=(60, 1, 3, 3)) * 255).astype(np.uint8)
    labels = (images[:, 0, 0, 0] + images[:, 0, 2, 2] > 0).astype(np.int64)[:, None]
    bank = LabelledImages(images, labels)
    grid = type(task.grid).even(3, 1, 1)
    settings = replace(
        task.annotation, sigma=(1e-3,), effective_samples=0.0, samples=40, search="racing"
    )
    task = replace(task, grid=grid, annotation=settings, T=3)
    posterior = BankPosterior(bank, grid, 2)
    one = Annotator(task, posterior, Retrieval(bank, grid, settings), 0)
    made = one.annotate(images, range(len(images)), one.first_step())
    held = []
    for image, (cells,), (bounds,) in zip(images, made.cells, made.bounds, strict=True):
        for t in (1, 2):
            exact = exact_epe(posterior, image, cells[:t])
            held.append(exact[cells[t]] - exact.min() <= bounds[t] + 1e-9)
    assert np.mean(held) >= 0.95


def test_pasted_pixels_stay_out_of_the_bank() -> None:
    """A completion of one's own may give a part of its bank as it lies there."""

    class View(Retrieval):
        def query(self, image):
            query = super().query(image)

            def draw(count, rng, belief=None):
                return replace(own(count, rng, belief), images=self.bank.images[:count])

            own, query.draw = query.draw, draw
            return query

    settings = replace(family()[0].annotation, observed="pasted", samples=50)
    task = replace(family()[0], annotation=settings)
    bank = two_corners(7, 150)
    before = bank.images.copy()
    one = Annotator(task, trained(task), View(bank, task.grid, settings), 0)
    one.annotate(two_corners(8, 2).images, [0, 1], one.first_step())
    np.testing.assert_array_equal(bank.images, before)
