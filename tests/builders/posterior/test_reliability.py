"""Calibration by hand, and of the exact posterior, which is as often right as it says."""

import json

import numpy as np
import pytest
import torch

from nogs_bench.builders.posterior.oracle import BankPosterior
from nogs_bench.builders.posterior.reliability import (
    calibration,
    calibration_record,
    draw_reliability,
    fixed_cells,
)
from nogs_bench.calibration import reliability
from nogs_bench.errors import NogsError
from nogs_bench.images.labelled import LabelledImages
from nogs_bench.tasks.geometry import GlimpseGrid


def test_reliability_by_hand():
    """0.7 and 0.6 share a bin of four and are right once; 0.9 is alone in its own, and right."""
    probabilities = np.array([[0.7, 0.3], [0.4, 0.6], [0.9, 0.1]])
    curve = reliability(probabilities, np.array([0, 0, 0]), bins=4)
    assert curve.confidence == pytest.approx((0.65, 0.9))
    assert curve.accuracy == (0.5, 1.0)
    assert curve.count == (2, 1)
    assert curve.expected_error == pytest.approx((2 * 0.15 + 1 * 0.1) / 3)


def test_edges_belong_to_the_bin_below_and_certainty_to_the_last():
    curve = reliability(np.array([[0.5, 0.5], [1.0, 0.0]]), np.array([0, 0]), bins=2)
    assert curve.count == (1, 1)
    assert curve.confidence == (0.5, 1.0)


class Sharpened:
    """A posterior that claims more than it knows."""

    def __init__(self, posterior, power: float):
        self.posterior, self.power = posterior, power

    def log_posterior(self, images, cells):
        return (self.posterior.log_posterior(images, cells) * self.power).log_softmax(1)


def _whole_population() -> LabelledImages:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 2, size=(200, 1, 3, 3)).astype(np.uint8)
    labels = (pixels.sum((1, 2, 3)) + rng.integers(0, 3, size=200)) % 3
    return LabelledImages(pixels, labels[:, None].astype(np.int64))


def test_the_exact_posterior_is_calibrated_and_a_sharpened_one_is_not():
    population, grid = _whole_population(), GlimpseGrid.even(3, 1, 1)
    exact = BankPosterior(population, grid, classes=3)
    # One sequence for all: each group of equal glimpses is whole, so counts are probabilities.
    cells = np.tile([0, 4, 8, 2], (200, 1))
    labels = population.labels[:, 0]
    for curve in calibration(exact, population.images, labels, cells):
        assert curve.expected_error == pytest.approx(0, abs=1e-6)
        assert sum(curve.count) == 200
    for curve in calibration(Sharpened(exact, 4), population.images, labels, cells):
        assert curve.expected_error > 0.1
        assert np.average(curve.confidence, weights=curve.count) > np.average(
            curve.accuracy, weights=curve.count
        )


def test_the_draw_is_fixed_and_the_record_is_json():
    population, grid = _whole_population(), GlimpseGrid.even(3, 1, 1)
    cells = fixed_cells(grid, 200, 2)
    np.testing.assert_array_equal(cells, fixed_cells(grid, 200, 2))
    assert set(cells.reshape(-1)) == set(range(9))
    posterior = BankPosterior(population, grid, 3)
    curves = calibration(posterior, population.images, population.labels[:, 0], cells)
    record = json.loads(json.dumps(calibration_record(curves)))
    assert record["expected_calibration_error"] == [curve.expected_error for curve in curves]
    assert [sum(curve["count"]) for curve in record["reliability"]] == [200, 200]


def test_the_plot_is_a_picture_or_an_error(tmp_path):
    curves = [reliability(torch.rand(50, 4).softmax(1).numpy(), np.zeros(50, int))] * 2
    out = draw_reliability(curves, tmp_path / "reliability.svg")
    content = out.read_text(encoding="utf-8")
    assert f"t = 2, error {curves[1].expected_error:.3f}" in content
    with pytest.raises(NogsError, match="png"):
        draw_reliability(curves, tmp_path / "reliability.doc")
