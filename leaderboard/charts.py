"""Drawings for the page: SVG text and tiny PNG images, without a plotting library.

Colours are the page's own CSS classes (`s0` .. `s7`), so that light and dark are the page's matter.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from nogs_bench.figures import png_address, target
from nogs_bench.results import LONGEST, Profile

WIDTH, HEIGHT = 640, 330
LEFT, RIGHT, TOP, BOTTOM = 46, 24, 14, 40
POINTS = 64
# Viridis at 0, 1/8, .. 1 (Smith and van der Walt 2015, CC0).
VIRIDIS = np.array(
    [
        (68, 1, 84),
        (71, 44, 122),
        (59, 81, 139),
        (44, 113, 142),
        (33, 144, 141),
        (39, 173, 129),
        (92, 200, 99),
        (170, 220, 50),
        (253, 231, 37),
    ],
    dtype=np.float64,
)


@dataclass(frozen=True)
class Series:
    """One line of a chart: `style` 0..7 is its colour, `dashed` whether it is broken.

    `values` (seeds, points) at `x` (points,); `marks`: its attributes for the page's filters.
    """

    name: str
    style: int
    x: np.ndarray
    values: np.ndarray
    marks: Mapping[str, str]
    dashed: bool = False


@dataclass(frozen=True)
class _Axes:
    """From data to pixels."""

    x: tuple[float, float]
    y: tuple[float, float]

    def across(self, value: float) -> float:
        share = (value - self.x[0]) / ((self.x[1] - self.x[0]) or 1)
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    def down(self, value: float) -> float:
        share = (value - self.y[0]) / ((self.y[1] - self.y[0]) or 1)
        return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)

    def points(self, x: Iterable[float], y: Iterable[float]) -> str:
        pairs = zip(x, y, strict=True)
        return " ".join(f"{self.across(a):.0f},{self.down(b):.1f}" for a, b in pairs)


def curves(
    series: Sequence[Series], goal: float, judged_by: str, label: str, seeds: bool = False
) -> Markup:
    """What a task is judged by against iterations: means, bands from least to greatest seed, goal.

    With `seeds` each seed is a thin line instead of a band. `judged_by`: of what the values are
    shares, in words; `label` says all to screen readers.
    """
    top = max(float(each.values.max()) for each in series)
    last = max(float(each.x[-1]) for each in series)
    axes = _Axes((0, last), (0, min(1.0, 0.1 * math.ceil(10 * max(top, goal) + 0.3))))
    parts = [_frame(axes, "iterations", f"validation {judged_by}, %", 100)]
    y = axes.down(goal)
    parts.append(
        Markup('<line class="target" x1="{0}" x2="{1}" y1="{2}" y2="{2}"/>').format(
            LEFT, WIDTH - RIGHT, f"{y:.1f}"
        )
    )
    parts.append(
        Markup('<text class="note" x="{}" y="{}" text-anchor="end">target {}</text>').format(
            WIDTH - RIGHT - 2, f"{y - 5:.1f}", f"{target(goal)} %"
        )
    )
    parts += [_line(axes, each, seeds) for each in series]
    return _svg(label, parts)


def _line(axes: _Axes, each: Series, seeds: bool) -> Markup:
    keep = _thinned(len(each.x))
    x, values = each.x[keep], each.values[:, keep]
    if seeds:
        inner = Markup("").join(
            Markup('<polyline class="seed" points="{}"/>').format(axes.points(x, row))
            for row in values
        )
    else:
        edge = axes.points([*x, *x[::-1]], [*values.max(0), *values.min(0)[::-1]])
        inner = Markup('<polygon class="band" points="{}"/>').format(edge)
    return Markup(
        '<g class="series s{}{}"{}><title>{}</title>{}<polyline class="mean" points="{}"/></g>'
    ).format(
        each.style,
        " dashed" if each.dashed else "",
        data_attributes(each.marks),
        each.name,
        inner,
        axes.points(x, values.mean(0)),
    )


def data_attributes(marks: Mapping[str, str]) -> Markup:
    """What the page's filters look at, as attributes of an element."""
    return Markup("").join(Markup(' data-{}="{}"').format(*each) for each in marks.items())


def _thinned(count: int) -> np.ndarray:
    """At most about 64 of `count` points, the first and the last among them."""
    return np.unique(np.linspace(0, count - 1, min(count, POINTS)).round().astype(int))


def profile_chart(profiles: Mapping[str, tuple[Profile, int, Mapping[str, str]]]) -> Markup:
    """Performance profiles by entry: share of workloads whose time is at most tau times the best.

    Each has its style and the attributes for the page's filters.
    """
    axes = _Axes((1, LONGEST), (0, 1))
    parts = [_frame(axes, "times the best time, τ", "workloads, %", 100)]
    for name, (profile, style, marks) in profiles.items():
        at = [1.0, *(ratio for ratio in profile.ratios if 1 < ratio < LONGEST), LONGEST]
        x, y = [1.0], [profile.share(1.0)]
        for tau in at[1:]:
            x += [tau, tau]
            y += [y[-1], profile.share(tau)]
        parts.append(
            Markup(
                '<g class="series s{}"{}><title>{}</title><polyline class="mean" points="{}"/></g>'
            ).format(style, data_attributes(marks), name, axes.points(x, y))
        )
    return _svg("Performance profiles; the numbers are in the table.", parts)


def _frame(axes: _Axes, across: str, down: str, scale: float) -> Markup:
    parts = []
    for value in ticks(*axes.x):
        place = f"{axes.across(value):.1f}"
        parts.append(
            Markup('<text x="{}" y="{}" text-anchor="middle">{}</text>').format(
                place, HEIGHT - BOTTOM + 16, f"{value:,.0f}"
            )
        )
    for value in ticks(*axes.y):
        y = axes.down(value)
        parts.append(
            Markup(
                '<line class="grid" x1="{0}" x2="{1}" y1="{2}" y2="{2}"/>'
                '<text x="{3}" y="{4}" text-anchor="end">{5}</text>'
            ).format(
                LEFT, WIDTH - RIGHT, f"{y:.1f}", LEFT - 6, f"{y + 4:.1f}", f"{scale * value:.0f}"
            )
        )
    parts.append(
        Markup('<text x="{}" y="{}" text-anchor="middle">{}</text>').format(
            (LEFT + WIDTH - RIGHT) // 2, HEIGHT - 6, across
        )
    )
    parts.append(
        Markup(
            '<text transform="translate(11 {}) rotate(-90)" text-anchor="middle">{}</text>'
        ).format((TOP + HEIGHT - BOTTOM) // 2, down)
    )
    return Markup("").join(parts)


def ticks(low: float, high: float) -> list[float]:
    """About five round numbers."""
    rough = (high - low) / 5 or 1
    step = 10 ** math.floor(math.log10(rough))
    step *= next(factor for factor in (1, 2, 2.5, 5, 10) if factor * step >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [i * step for i in range(first, math.floor(high / step + 1e-9) + 1)]


def _svg(label: str, parts: Iterable[Markup]) -> Markup:
    return Markup(
        '<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>'
    ).format(WIDTH, HEIGHT, label, Markup("").join(parts))


def heat_png(values: np.ndarray) -> str:
    """A `data:` address of a PNG with a pixel for each of values (rows, cols), viridis.

    The least value is dark, the greatest light; NaN is grey.
    """
    low, high = np.nanmin(values), np.nanmax(values)
    share = (np.nan_to_num(values, nan=low) - low) / ((high - low) or 1)
    at = share * (len(VIRIDIS) - 1)
    below = np.minimum(at.astype(int), len(VIRIDIS) - 2)
    part = (at - below)[..., None]
    pixels = VIRIDIS[below] * (1 - part) + VIRIDIS[below + 1] * part
    pixels[np.isnan(values)] = 128
    return png_address(pixels.round().astype(np.uint8))
