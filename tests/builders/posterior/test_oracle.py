"""The exact posterior and EPE against sums written out by hand."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch

from nogs_bench.builders.completion.kinds import Completions
from nogs_bench.builders.completion.retrieval import Retrieval
from nogs_bench.builders.posterior.oracle import BankPosterior, exact_epe
from nogs_bench.builders.search.annotate import Annotator
from nogs_bench.builders.search.epe import CRITERIA, StepEpe
from nogs_bench.builders.search.lockstep import Evaluator
from nogs_bench.builders.search.searches import Ask, Found, Problem, Steps
from nogs_bench.images.labelled import LabelledImages
from nogs_bench.tasks.geometry import GlimpseGrid
from tiny import corner_task

# Four 2 x 2 images of one-pixel glimpses; the label is the upper left pixel XOR the lower right.
GRID = GlimpseGrid.even(2, 1, 1)


def xor_bank() -> LabelledImages:
    """All 16 binary 2 x 2 images."""
    pixels = np.array(list(itertools.product((0, 255), repeat=4)), np.uint8)
    labels = (pixels[:, :1] != pixels[:, 3:]).astype(np.int64)
    return LabelledImages(pixels.reshape(-1, 1, 2, 2), labels)


def three_images() -> LabelledImages:
    """Labels 0, 0, 1; only the upper left pixel tells image 2 apart, the rest tells 1 from 0."""
    pixels = np.array([[0, 0, 9, 9], [0, 7, 9, 9], [5, 0, 9, 9]], np.uint8)
    return LabelledImages(pixels.reshape(3, 1, 2, 2), np.array([[0], [0], [1]]))


def test_posterior_counts_the_matching_images():
    bank = three_images()
    posterior = BankPosterior(bank, GRID, classes=2)
    image = torch.from_numpy(bank.images[:1])
    cells = [torch.tensor([[cell]]) for cell in range(3)]
    after = [posterior.log_posterior(image, cell).exp()[0] for cell in cells]
    np.testing.assert_allclose(after[0], [1, 0], atol=1e-6)
    np.testing.assert_allclose(after[1], [1 / 2, 1 / 2], atol=1e-6)
    np.testing.assert_allclose(after[2], [2 / 3, 1 / 3], atol=1e-6)


@pytest.mark.parametrize("least", [0, 190])
def test_large_glimpses_match_themselves_alone(least):
    """3,072 values a glimpse: float32 cannot tell squares of them from sums near them."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(least, 256, size=(50, 3, 32, 32), dtype=np.uint8)
    bank = LabelledImages(pixels, rng.integers(2, size=(50, 1)))
    posterior = BankPosterior(bank, GlimpseGrid.even(32, 32, 1), 2)
    weights = posterior.weights(
        posterior.distances(torch.from_numpy(pixels), torch.zeros(50, 1, dtype=torch.int64))
    )
    torch.testing.assert_close(weights, torch.eye(50))


def test_epe_by_hand():
    bank = three_images()
    epe = exact_epe(BankPosterior(bank, GRID, 2), bank.images[0], np.array([], np.int64))
    third = -(2 / 3) * np.log(2 / 3) - (1 / 3) * np.log(1 / 3)
    # Cell 1: images 0 and 2 look alike (ln 2), image 1 is alone (0): two thirds of ln 2.
    np.testing.assert_allclose(epe, [0, 2 / 3 * np.log(2), third, third], atol=1e-6)


def test_xor_needs_both_corners():
    bank = xor_bank()
    posterior = BankPosterior(bank, GRID, 2)
    nothing = exact_epe(posterior, bank.images[0], np.array([], np.int64))
    np.testing.assert_allclose(nothing, np.log(2), atol=1e-6)
    after_first = exact_epe(posterior, bank.images[0], np.array([0]))
    np.testing.assert_allclose(after_first, [np.log(2), np.log(2), np.log(2), 0], atol=1e-6)


def _values(bank: LabelledImages, criterion: str, rows: np.ndarray) -> np.ndarray:
    """float64 (4, n): nats at every cell for the bank images `rows` as completions."""
    known = np.zeros(len(rows), bool)
    drawn = Completions(bank.images[rows], bank.labels[rows], len(rows), 0.0, rows, known)
    step = StepEpe(drawn, np.empty(0, np.int64), (0,), 4)
    seen = []

    def everything(problem: Problem) -> Steps:
        seen.append((yield Ask(np.arange(4), np.arange(problem.samples))))
        return Found(0, seen[0].mean(1))

    evaluator = Evaluator(BankPosterior(bank, GRID, 2), CRITERIA[criterion], 0)
    _, evaluations = evaluator.search(everything, [step], GRID.shape)
    assert evaluations == [4 * len(np.unique(rows))]
    return seen[0]


@pytest.mark.parametrize("criterion", ["entropy", "cross-entropy"])
def test_over_the_whole_bank_both_criteria_are_the_exact_epe(criterion):
    """With the exact posterior E[-log p] = E[H[p]]; a bank drawn once each leaves no noise."""
    bank = three_images()
    values = _values(bank, criterion, np.arange(3))
    exact = exact_epe(BankPosterior(bank, GRID, 2), bank.images[0], np.array([], np.int64))
    np.testing.assert_allclose(values.mean(1), exact, atol=1e-6)


@pytest.mark.parametrize("criterion", ["entropy", "cross-entropy"])
def test_monte_carlo_is_unbiased_within_its_standard_error(criterion):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 3, size=(40, 1, 2, 2)).astype(np.uint8)
    bank = LabelledImages(pixels, rng.integers(2, size=(40, 1)))
    exact = exact_epe(BankPosterior(bank, GRID, 2), bank.images[0], np.array([], np.int64))
    values = _values(bank, criterion, rng.integers(40, size=4000))
    error = values.mean(1) - exact
    standard = values.std(1) / np.sqrt(4000)
    assert (np.abs(error) < 4 * standard + 1e-9).all()
    assert (standard > 1e-4).any()


def test_a_wrong_posterior_is_punished_by_cross_entropy_alone():
    """For any g, E[-log g] >= EPE; a confident wrong g claims an entropy below it."""
    bank = three_images()
    wrong = torch.log(torch.tensor([0.01, 0.99])).expand(1, 3, 2)
    labels = torch.from_numpy(bank.labels[:, 0])
    exact = exact_epe(BankPosterior(bank, GRID, 2), bank.images[0], np.array([], np.int64))[2]
    assert CRITERIA["entropy"](wrong, labels).mean() < exact
    assert CRITERIA["cross-entropy"](wrong, labels).mean() > exact


def test_greedy_choice_is_the_oracles():
    """With the oracle's posterior and matching completions, algorithm 1 picks its cells."""
    bank = xor_bank()
    task = corner_task(grid=GRID)
    settings = task.annotation
    # A relaxation so narrow that only equal glimpses have weight.
    narrow = type(settings)(**{**vars(settings), "sigma": (1e-3,), "samples": 200})
    task = corner_task(grid=GRID, annotation=narrow)
    posterior = BankPosterior(bank, GRID, 2)
    annotator = Annotator(task, posterior, Retrieval(bank, GRID, narrow), seed=0)
    first = annotator.first_step()
    made = annotator.annotate(bank.images, range(len(bank)), first)
    for image, (cells,), (maps,) in zip(bank.images, made.cells, made.maps, strict=True):
        exact = exact_epe(posterior, image, cells[:1])
        assert exact[cells[1]] == pytest.approx(exact.min(), abs=1e-6)
        np.testing.assert_allclose(maps[1], exact, atol=0.1)


def test_a_pixel_seen_twice_counts_once():
    rng = np.random.default_rng(2)
    images = rng.integers(0, 256, size=(30, 2, 4, 4)).astype(np.uint8)
    bank = LabelledImages(images, rng.integers(3, size=(30, 1)))
    grid = GlimpseGrid.even(4, 2, 1)
    posterior = BankPosterior(bank, grid, 3, sigma=0.4)
    seen = torch.from_numpy(images[:3])

    def log(*cells: int) -> torch.Tensor:
        return posterior.log_posterior(seen, torch.tensor([cells]).expand(3, -1))

    torch.testing.assert_close(log(4, 4, 4), log(4))
    torch.testing.assert_close(log(0, 1, 0), log(1, 0))
    # Cells 0 and 1 overlap in a column: together they are six pixels of each channel.
    window = images[:, :, :2, :3].reshape(30, -1) / 255
    distances = ((window[:3, None] - window[None]) ** 2).sum(-1)
    weights = np.exp(-distances / (2 * 0.4**2))
    shares = weights @ np.eye(3)[bank.labels[:, 0]] / weights.sum(1, keepdims=True)
    np.testing.assert_allclose(log(0, 1).exp(), shares, rtol=1e-4)


@pytest.mark.parametrize("seed", range(4))
def test_the_first_glimpse_is_the_whole_bank_s(seed):
    """Many cells are worth nearly the same; the first 1,000 images of a bank mislead."""
    rng = np.random.default_rng(seed)
    pixels = (rng.integers(0, 2, size=(4000, 1, 4, 4)) * 255).astype(np.uint8)
    labels = pixels[:, 0].reshape(4000, -1) @ rng.integers(-2, 3, 16) > 0
    bank = LabelledImages(pixels, labels.astype(np.int64)[:, None])
    grid = GlimpseGrid.even(4, 2, 1)
    settings = replace(corner_task().annotation, sigma=(1e-3,), first_samples=100_000)
    task = corner_task(grid=grid, annotation=settings)
    posterior = BankPosterior(bank, grid, 2)
    (found,) = Annotator(task, posterior, Retrieval(bank, grid, settings), seed).first_step()
    exact = exact_epe(posterior, bank.images[0], np.array([], np.int64))
    assert exact[found.cell] - exact.min() < 0.002
    assert found.epe[found.cell] == pytest.approx(exact[found.cell], abs=1e-5)
