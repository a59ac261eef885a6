"""Mirrored copies and small shifts, against sums written out over every copy and move."""

from dataclasses import replace

import numpy as np
import pytest

from nogs_bench.builders.bank.images import ShardedImages
from nogs_bench.builders.completion.matching import region
from nogs_bench.builders.completion.pca import fit_pca
from nogs_bench.builders.completion.retrieval import Retrieval
from nogs_bench.builders.search.annotate import Annotator
from nogs_bench.errors import NogsError
from nogs_bench.images.labelled import LabelledImages
from nogs_bench.tasks.geometry import GlimpseGrid
from tiny import corner_images, corner_task

GRID = corner_task().grid


def _retrieval(bank: LabelledImages, **changes) -> Retrieval:
    settings = replace(corner_task().annotation, **{"effective_samples": 0.0, **changes})
    components = settings.components
    return Retrieval(bank, GRID, settings, fit_pca(bank.images, components) if components else None)


def _log_likelihood(bank, image, cells, sigma, shifts):
    """Of every image and then of every reversed image, one window at a time."""
    log = []
    for copy in [*bank.images, *bank.images[..., ::-1]]:
        total = 0.0
        for cell in cells:
            row, col = GRID.pixels[cell]
            mass = 0.0
            for down in shifts:
                for across in shifts:
                    r, c = row + down, col + across
                    if 0 <= r <= 8 and 0 <= c <= 8:
                        gap = (
                            copy[:, r : r + 4, c : c + 4] / 255
                            - image[:, row : row + 4, col : col + 4] / 255
                        )
                        mass += np.exp(-(gap**2).sum() / (2 * sigma**2))
            total += np.log(mass)
        log.append(total)
    return np.array(log)


def _frequencies(retrieval, image, cells, count=40_000):
    query = retrieval.query(image)
    for cell in cells:
        query.observe(cell)
    drawn = query.draw(count, np.random.default_rng(0))
    copies = drawn.rows + len(retrieval.bank) * drawn.mirrored
    return np.bincount(copies, minlength=2 * len(retrieval.bank)) / count


def test_moves_stay_in_the_image():
    grid = GlimpseGrid.even(6, 4, 2)

    def moves(cell: int, shifts: tuple[int, ...]) -> list[tuple[int, int]]:
        where = region(grid, cell, shifts, mirrored=False)
        return [(where.row + row, where.col + col) for row, col in where.moves]

    assert moves(0, (-1, 0, 1)) == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert moves(3, (-1, 0, 1)) == [(1, 1), (1, 2), (2, 1), (2, 2)]
    assert moves(1, (0,)) == [(0, 2)]


@pytest.mark.parametrize("shifts", [(0,), (-1, 0, 2)])
def test_copies_are_drawn_as_often_as_their_summed_likelihoods(shifts):
    bank, image = corner_images(1, 25), corner_images(2, 1).images[0]
    retrieval = _retrieval(bank, sigma=(0.9,), mirrored=True, shifts=shifts)
    log = _log_likelihood(bank, image, (0, 4, 5), 0.9, shifts)
    expected = np.exp(log - log.max()) / np.exp(log - log.max()).sum()
    # Systematic resampling is within one draw of the expected count.
    np.testing.assert_allclose(
        _frequencies(retrieval, image, (0, 4, 5)), expected, atol=1 / 40_000 + 1e-5
    )


def test_the_proposal_is_corrected_with_mirrors_and_shifts():
    bank, image = corner_images(3, 60), corner_images(4, 1).images[0]
    changes = {"sigma": (1.2,), "mirrored": True, "shifts": (-1, 0, 1)}
    exact = _frequencies(_retrieval(bank, **changes), image, (1, 4))
    proposal = {"components": 12, "retrieved": 20_000, "proposal_shifts": (-1, 0, 1)}
    for more in ({}, {"effective_samples": 80.0}):
        two_stage = _retrieval(bank, **changes, **proposal, **more)
        assert np.abs(_frequencies(two_stage, image, (1, 4)) - exact).sum() < 0.05


def test_a_reversed_image_is_found_and_returned_reversed():
    bank = corner_images(5, 80)
    for components in (0, 100):
        retrieval = _retrieval(
            bank, sigma=(0.05,), mirrored=True, components=components, retrieved=50
        )
        query = retrieval.query(bank.images[7][..., ::-1])
        query.observe(0)
        query.observe(4)
        drawn = query.draw(10, np.random.default_rng(0))
        assert (drawn.rows == 7).all()
        assert drawn.mirrored.all()
        np.testing.assert_array_equal(drawn.images, np.stack([bank.images[7][..., ::-1]] * 10))
        assert (drawn.labels == bank.labels[7]).all()


def test_both_copies_of_a_symmetric_image_weigh_the_same():
    plain = corner_images(6, 30)
    both = np.maximum(plain.images, plain.images[..., ::-1])
    symmetric = LabelledImages(both, plain.labels)
    retrieval = _retrieval(symmetric, sigma=(1.0,), mirrored=True, shifts=(-1, 0, 1))
    frequencies = _frequencies(retrieval, corner_images(7, 1).images[0], (3, 8))
    np.testing.assert_allclose(frequencies[:30], frequencies[30:], atol=1 / 20_000)
    assert frequencies.max() > 2 * frequencies.mean()


def test_a_moved_image_is_found_by_its_shift_alone():
    bank = corner_images(8, 60)
    moved_image = np.roll(bank.images[9], 1, axis=-1)
    weights = {}
    for shifts in ((0,), (-1, 0, 1)):
        retrieval = _retrieval(bank, sigma=(0.1,), mirrored=True, shifts=shifts)
        weights[shifts] = _frequencies(retrieval, moved_image, (4,), 1000)[9]
    assert weights[(-1, 0, 1)] > 0.99
    assert weights[(0,)] < 0.01


@pytest.mark.parametrize("shifts", [(0,), (-1, 0, 1)])
def test_bisection_reaches_the_wanted_sample_size_over_copies(shifts):
    bank = corner_images(9, 100)
    retrieval = _retrieval(bank, effective_samples=40.0, mirrored=True, shifts=shifts)
    query = retrieval.query(corner_images(10, 1).images[0])
    for cell in (2, 4):
        query.observe(cell)
    drawn = query.draw(30, np.random.default_rng(0))
    assert drawn.effective_samples == pytest.approx(40, rel=0.01)


def test_before_any_glimpse_both_copies_are_drawn_once():
    bank = corner_images(11, 20)
    drawn = _retrieval(bank, sigma=(1.0,), mirrored=True).prior(40, np.random.default_rng(0))
    assert sorted(zip(drawn.rows, drawn.mirrored, strict=True)) == [
        (row, flipped) for row in range(20) for flipped in (False, True)
    ]


def test_sequences_are_built_from_mirrored_and_shifted_copies():
    class Brightness:
        """A posterior that is the brightness seen in the left column of cells."""

        def log_posterior(self, images, cells):
            seen = images[:, 0, :, :4].float().mean((1, 2)) / 255
            return (seen[:, None] * seen.new_tensor([4.0, 3, 2, 1])).log_softmax(1)

    task = corner_task(
        annotation=replace(corner_task().annotation, mirrored=True, shifts=(-1, 0, 1))
    )
    bank = corner_images(12, 50)
    annotator = Annotator(task, Brightness(), Retrieval(bank, GRID, task.annotation), seed=3)
    first = annotator.first_step()
    assert annotator._first_samples == 100
    made = annotator.annotate(corner_images(13, 1).images, [0], first)
    assert made.effective_samples[0, 0] == pytest.approx([100, 30], rel=0.05)


@pytest.mark.parametrize(
    ("changes", "named"),
    [({"sigma": ()}, "sigma"), ({"sigma": (1.0,), "shifts": (2,)}, "shifts must hold 0")],
)
def test_settings_that_cannot_work_are_refused(changes, named):
    with pytest.raises(NogsError, match=named):
        _retrieval(corner_images(0, 10), **changes)


@pytest.mark.parametrize("components", [0, 40])
def test_a_bank_on_disk_gives_the_same_draws(tmp_path, components):
    bank = corner_images(14, 70)
    np.save(tmp_path / "0000000.npy", bank.images)
    stored = ShardedImages(tmp_path, bank.images.shape)
    settings = replace(
        corner_task().annotation,
        components=components,
        retrieved=50,
        mirrored=True,
        shifts=(-1, 0, 1),
    )
    drawn = []
    for images in (bank.images, stored):
        pca = fit_pca(images, components) if components else None
        retrieval = Retrieval(LabelledImages(images, bank.labels), GRID, settings, pca)
        query = retrieval.query(bank.images[0])
        query.observe(4)
        drawn.append(query.draw(20, np.random.default_rng(0)))
    np.testing.assert_array_equal(drawn[0].images, drawn[1].images)
    np.testing.assert_array_equal(drawn[0].rows, drawn[1].rows)
