"""Resampling, effective sample sizes and retrieval."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nogs_bench.builders.completion.evidence import FreeEvidence
from nogs_bench.builders.completion.pca import fit_pca
from nogs_bench.builders.completion.resampling import (
    effective_sample_size,
    least_sigma_where,
    normalise,
    sigma_where,
    systematic,
)
from nogs_bench.builders.completion.retrieval import Retrieval
from tiny import corner_images, corner_task


@given(
    st.lists(st.floats(0, 1), min_size=1, max_size=20).filter(lambda w: sum(w) > 1e-3),
    st.integers(1, 100),
    st.integers(0, 2**32),
)
def test_systematic_gives_floor_or_ceil_of_the_expected_count(weights, count, seed):
    weights = np.array(weights) / np.sum(weights)
    times = np.bincount(
        systematic(weights, count, np.random.default_rng(seed)), minlength=len(weights)
    )
    assert times.sum() == count
    assert (np.abs(times - count * weights) < 1 + 1e-6).all()


def test_effective_sample_size_of_known_weights():
    assert effective_sample_size(np.full(7, 1 / 7)) == pytest.approx(7)
    assert effective_sample_size(np.array([1.0, 0, 0])) == pytest.approx(1)
    assert effective_sample_size(np.array([2.0, 1.0])) == pytest.approx(9 / 5)


def _gaussian(distances, wanted):
    """The sigma of a Gaussian of squared distances."""
    return sigma_where(lambda variance: distances / (-2 * variance), distances, wanted)


@given(st.integers(0, 1000), st.floats(1.5, 180))
def test_sigma_gives_the_wanted_sample_size(seed, wanted):
    distances = np.random.default_rng(seed).exponential(size=200)
    sigma = _gaussian(distances, wanted)
    size = effective_sample_size(normalise(distances / (-2 * sigma**2)))
    assert size == pytest.approx(wanted, rel=1e-3)


def test_sigma_is_infinite_where_nothing_distinguishes():
    assert _gaussian(np.ones(10), 5) == np.inf
    assert _gaussian(np.arange(10.0), 10) == np.inf


def _retrieval(**changes):
    task = corner_task()
    settings = replace(task.annotation, **changes)
    bank = corner_images(5, 500)
    pca = fit_pca(bank.images, settings.components) if settings.components else None
    return Retrieval(bank, task.grid, settings, pca), bank


def test_distances_are_those_of_the_pixels():
    retrieval, bank = _retrieval()
    image = corner_images(6, 1).images[0]
    row, col = retrieval.grid.pixels[5]
    theirs = bank.images[:, :, row : row + 4, col : col + 4] / 255.0
    mine = image[:, row : row + 4, col : col + 4] / 255.0
    evidence = FreeEvidence(len(bank))
    retrieval.observe(image, 5, evidence)
    np.testing.assert_allclose(evidence.nearest(), ((theirs - mine) ** 2).sum((1, 2, 3)), rtol=1e-5)


@pytest.mark.parametrize("components", [0, 100])
def test_completions_agree_with_the_glimpse(components):
    """The corner's brightness is the label: what is retrieved by it has the image's label."""
    changes = {"components": components, "retrieved": 60, "effective_samples": 30.0}
    retrieval, bank = _retrieval(**changes)
    held = corner_images(7, 20)
    corner = retrieval.grid.pixel_to_index(np.array([8, 8]))
    for number in range(20):
        query = retrieval.query(held.images[number])
        blind = query.draw(100, np.random.default_rng(0))
        assert 0.1 < (bank.labels[blind.rows] == held.labels[number]).mean() < 0.5
        query.observe(int(corner))
        seeing = query.draw(100, np.random.default_rng(0))
        assert (bank.labels[seeing.rows] == held.labels[number]).mean() > 0.95


def test_proposal_is_corrected_to_the_exact_weights():
    """With K1 large, two stages draw from the same distribution as exact weights alone."""
    sigma = (1.0,)
    exact, bank = _retrieval(sigma=sigma)
    proposed, _ = _retrieval(sigma=sigma, components=20, retrieved=20_000, effective_samples=400.0)
    image = corner_images(8, 1).images[0]
    frequencies = []
    for retrieval in (exact, proposed):
        query = retrieval.query(image)
        query.observe(0)
        drawn = query.draw(50_000, np.random.default_rng(1)).rows
        frequencies.append(np.bincount(drawn, minlength=len(bank)) / 50_000)
    assert np.abs(frequencies[0] - frequencies[1]).sum() < 0.05


@pytest.mark.parametrize("wanted", [5.0, 25.0])
def test_the_exact_weights_have_the_wanted_effective_sample_size_too(wanted):
    """And not only the proposal's, whose reconstructions are other images than the bank's. Less
    where the proposal drew too few images."""
    retrieval, _ = _retrieval(components=60, retrieved=1_000, effective_samples=wanted)
    sizes = []
    for image in corner_images(7, 5).images:
        query = retrieval.query(image)
        for cell in (0, 4, 8):
            query.observe(cell)
            sizes.append(query.draw(50, np.random.default_rng(0)).effective_samples)
    assert np.median(sizes) == pytest.approx(wanted, rel=1e-3)
    assert 0.4 * wanted < min(sizes)
    assert max(sizes) < 1.001 * wanted


def test_the_least_sigma_where_the_size_is_as_wanted():
    """Of two copies, equal at sigma 1: the size grows to 2 there, and falls beyond."""
    distances = np.array([0.0, 2.0])

    def log_weights(variance: float) -> np.ndarray:
        return -distances / (2 * variance) + np.array([0.0, 1.0])

    assert least_sigma_where(log_weights, distances, 3.0, math.inf) == pytest.approx(1, rel=0.13)
    assert least_sigma_where(log_weights, distances, 3.0, 0.5) == pytest.approx(0.5)
    sigma = least_sigma_where(log_weights, distances, 1.5, math.inf)
    weights = normalise(log_weights(sigma**2))
    assert effective_sample_size(weights) == pytest.approx(1.5, rel=1e-4)
    assert sigma < 1
    assert least_sigma_where(log_weights, np.ones(2), 1.5, 1.0) == math.inf


def test_sigma_stays_near_the_pixels_range_where_no_sigma_has_the_wanted_size():
    """Few components, few draws: at an infinite sigma, which undoes the proposal, the effective
    sample size may be greatest, and the glimpses say nothing."""
    retrieval, _ = _retrieval(components=3, retrieved=100, effective_samples=90.0)
    sigmas = []
    for image in corner_images(7, 10).images:
        query = retrieval.query(image)
        for cell in (0, 4):
            query.observe(cell)
        sigmas.append(query.draw(50, np.random.default_rng(0)).sigma)
    assert max(sigmas) < 3
