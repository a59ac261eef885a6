from __future__ import annotations

import math

import pytest

from nogs_bench.figures.texts import (
    duration,
    estimate_text,
    percent,
    rank_text,
    rate_text,
    span_text,
    spans_text,
    target,
    times,
    whole,
)
from nogs_bench.results.statistics import Estimate, Span, SpanEstimate


@pytest.mark.parametrize(
    ("span", "text"),
    [
        (Span(290, 290), "290"),
        (Span(289.6, 290.4), "290"),
        (Span(240, 1290), "240\N{EN DASH}1,290"),
        (Span(6000, math.inf), "> 6,000"),
        (Span(0, 50), "< 50"),
        (Span(0, math.inf), "not known"),
    ],
)
def test_a_span_shows_both_ends_and_nothing_that_is_not_known(span: Span, text: str) -> None:
    assert span_text(span) == text


def test_estimates_of_spans() -> None:
    values, seeds = (Span(1, 2), Span(3, 4)), (0, 1)

    def of(middle: Span, interval: Span | None, unlearned: int = 0) -> str:
        return spans_text(SpanEstimate(middle, interval, values, seeds, unlearned), whole)

    assert of(Span(240, 290), Span(100, 700)) == "240\N{EN DASH}290 [100, 700]"
    assert of(Span(240, 290), Span(100, math.inf)) == "240\N{EN DASH}290 [> 100]"
    assert of(Span(0, 290), Span(0, 700)) == "< 290 [< 700]"
    assert of(Span(240, 290), None) == "240\N{EN DASH}290"
    assert of(Span(240, math.inf), None, 1) == "> 240 (1 of 2 not learned)"
    assert of(Span(240, math.inf), None, 2) == "not learned"
    assert spans_text(None) == ""


def test_other_figures() -> None:
    assert estimate_text(Estimate(0.1512, 0.1, 0.2, (0.1, 0.2)), percent) == "15.1 [10.0, 20.0]"
    assert estimate_text(Estimate(0.1512, None, None, (0.1512,)), percent) == "15.1"
    assert [target(0.66), target(0.9972), target(1.0)] == ["66", "99.72", "100"]
    assert [duration(170), duration(0), duration(1650), duration(5400)] == [
        "2.83 min",
        "0 s",
        "27.5 min",
        "1.5 h",
    ]
    assert [times(1.364), times(6.44), times(0.3)] == ["1.36", "6.4", "0.30"]
    assert [rate_text(3e-4), rate_text(0.01), rate_text(2.5e-5)] == ["3e-4", "1e-2", "2.5e-5"]
    # Other entries have other rates, and 0.009 by way of 3 * 0.003 is 0.009.
    assert [rate_text(0.0030001), rate_text(0.009000000000000001)] == ["3.0001e-3", "9e-3"]
    assert [rank_text(None), rank_text((2, 2)), rank_text((1, 3))] == ["", "2", "1\N{EN DASH}3"]
