"""Held to what came true: by hand, on draws where the truth is known, and in a built dataset."""

import numpy as np
import pytest

from nogs_bench.builders.search import corrections, holds, standard_error


def drawn(count: int, said: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """EPEs that state `said` times what is expected, and what came true, both (count, 1)."""
    rng = np.random.default_rng(seed)
    expected = rng.gamma(1.5, 0.4, (count, 1))
    return said * expected, rng.exponential(expected)


def test_by_hand() -> None:
    """Means 2 and 3: r = 1.5, residuals -.5, .5, -.5, .5; e = (1/3)^.5 / 4^.5 / 2 = .1443."""
    searched = np.array([[1.0], [1.0], [3.0], [3.0]])
    true = np.array([[1.0], [2.0], [4.0], [5.0]])
    sure = 1 - (1 / 48) / 0.25
    assert corrections(searched, true) == pytest.approx([1 + 0.5 * sure])


def test_what_is_too_low_becomes_true_of_other_images() -> None:
    factors = corrections(*drawn(3000, 0.8, 0))
    searched, true = drawn(100_000, 0.8, 1)
    assert not holds(searched, true)
    assert abs((searched * factors).mean() - true.mean()) < 0.03
    assert holds(searched * factors, true)


def test_what_is_true_is_left_nearly_alone() -> None:
    """Nearer to 1 than the plain ratio, over draws of 50 images."""
    pairs = [drawn(50, 1.0, seed) for seed in range(300)]
    plain = np.array([true.mean() / searched.mean() for searched, true in pairs])
    factors = np.array([corrections(*pair)[0] for pair in pairs])
    assert np.mean((factors - 1) ** 2) < 0.6 * np.mean((plain - 1) ** 2)
    assert np.mean(factors == 1) > 0.5


def test_nothing_is_corrected_where_nothing_is_known() -> None:
    one = np.array([[0.5, 0.2]])
    assert corrections(one, one * 3).tolist() == [1, 1]
    zero = np.zeros((5, 2))
    assert corrections(zero, zero + 1).tolist() == [1, 1]


def test_holds_says_where_means_part() -> None:
    stated = np.array([[1.0, 0.5], [1.2, 0.7]])
    assert holds(stated, stated + 0.049)
    assert not holds(stated, stated + np.array([0.0, 0.051]))
    assert not holds(stated, stated - np.array([0.051, 0.0]))


def test_the_standard_error_is_that_of_the_mean() -> None:
    """Of 1, 2, 6: variance 7, so (7 / 3) ** 0.5."""
    values = np.array([[1.0, 5.0], [2.0, 5.0], [6.0, 5.0]])
    np.testing.assert_allclose(standard_error(values), [(7 / 3) ** 0.5, 0])
    assert standard_error(values[:1]).tolist() == [0, 0]
