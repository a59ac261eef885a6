"""What the comparison says of completions whose samples can be worked out by hand."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from nogs_bench.builders.compare.completions import compare_completions, measure
from nogs_bench.builders.completion.kinds import COMPLETIONS, generated
from nogs_bench.builders.completion.retrieval import Retrieval
from nogs_bench.errors import NogsError
from nogs_bench.images.labelled import LabelledImages
from nogs_bench.tasks.geometry import GlimpseGrid
from tiny import corner_task

GRID = GlimpseGrid.even(2, 1, 1)


def test_true_posterior_samples_are_as_far_from_each_other_as_from_the_image():
    """Of all black and white 2 x 2 images, those that match one pixel: the others are coins."""
    pixels = np.array(list(itertools.product((0, 255), repeat=4)), np.uint8)
    bank = LabelledImages(pixels.reshape(-1, 1, 2, 2), np.zeros((16, 1), np.int64))
    settings = replace(corner_task().annotation, sigma=(1e-3,))
    retrieval = Retrieval(bank, GRID, settings)
    found = measure("retrieval", retrieval, bank.images, np.tile([[2]], (16, 1)), GRID, 800)
    assert found.at_glimpses == 0
    assert found.elsewhere == pytest.approx(np.sqrt(1 / 2), rel=1e-6)
    assert found.diversity == pytest.approx(np.sqrt(1 / 2 * 800 / 799), rel=1e-6)
    assert found.coverage == pytest.approx(1, rel=1e-3)
    assert found.effective_samples == pytest.approx(8)


class _Stuck:
    """Always the same image, one level of grey off the observed pixels."""

    support = 1.0

    def prior(self, count, rng):
        return generated(np.full((count, 1, 2, 2), 51, np.uint8), 1, 1.0, 0.0)

    def query(self, image):
        return self

    def observe(self, cell):
        pass

    def draw(self, count, rng):
        return self.prior(count, rng)


def test_equal_samples_have_no_diversity():
    images = np.array([[[[0, 102], [51, 51]]]], np.uint8)
    found = measure("stuck", _Stuck(), images, np.array([[0]]), GRID, 3)
    assert found.at_glimpses == pytest.approx(0.2)
    assert found.elsewhere == pytest.approx(np.sqrt(0.2**2 / 3))
    assert found.diversity == pytest.approx(0, abs=1e-12)
    assert found.coverage == pytest.approx(0, abs=1e-12)


def test_every_completion_named_is_fitted_and_measured(monkeypatch):
    registry = COMPLETIONS
    assert {"retrieval", "conditional-gan", "hmc"} <= set(registry.names())
    monkeypatch.setattr(COMPLETIONS, "_entries", dict(COMPLETIONS._entries))
    COMPLETIONS.add("again", COMPLETIONS["retrieval"])
    found = compare_completions(corner_task(), ["retrieval", "again"], images=3, samples=40)
    assert [each.name for each in found] == ["retrieval", "again"]
    assert found[0].elsewhere == found[1].elsewhere
    # The task's pixels are uniform noise: two of them differ by sqrt(1/6) in root mean square.
    assert found[0].elsewhere == pytest.approx(np.sqrt(1 / 6), rel=0.1)
    assert 0.8 < found[0].coverage < 1.1
    assert found[0].seconds > 0


@pytest.mark.parametrize(
    ("arguments", "named"),
    [({"names": ["hcm"]}, "did you mean 'hmc'"), ({"samples": 1}, "2 samples")],
)
def test_bad_input_is_refused(arguments, named):
    with pytest.raises(NogsError, match=named):
        compare_completions(corner_task(), **arguments)
