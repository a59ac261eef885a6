"""What a report says: its sections, of figures, tables and sentences."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from nogs_bench.builders.posterior import draw_reliability, read_calibration
from nogs_bench.builders.report.data import ReportData
from nogs_bench.builders.report.figures import (
    draw_effective_samples,
    draw_epe_steps,
    draw_procedure,
    draw_seen,
)
from nogs_bench.builders.report.procedure import Procedure
from nogs_bench.errors import NogsError
from nogs_bench.figures import address, draw_epe, draw_locations
from nogs_bench.images import EVERY_SPLIT

SAMPLES = 3
STRIP = 10


@dataclass(frozen=True)
class Picture:
    """A figure, by the `data:` address of its PNG."""

    kind: ClassVar[str] = "figure"
    address: str
    caption: str


@dataclass(frozen=True)
class Table:
    """Rows of cells; an empty `header` is none."""

    kind: ClassVar[str] = "table"
    header: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Words:
    """A paragraph; a `soft` one says what there is not."""

    kind: ClassVar[str] = "words"
    words: str
    soft: bool = False


Part = Picture | Table | Words
# (name, caption, what draws it into a file)
Draw = Callable[[str, str, Callable[[Path], object]], Picture]


@dataclass(frozen=True)
class Section:
    heading: str
    parts: Sequence[Part]


def sections_of(
    folder: Path, data: ReportData, procedure: Procedure | NogsError | None, work: Path
) -> Iterator[Section]:
    """The sections of the report on the dataset in `folder`; figures are drawn in `work`."""

    def picture(name: str, caption: str, draw: Callable[[Path], object]) -> Picture:
        path = work / f"{name}.png"
        draw(path)
        return Picture(address(path.read_bytes()), caption)

    record, steps = data.record, data.glimpses.shape[1]
    yield Section("", [_summary(data)])
    yield Section("Sequences", list(_sequences(data, procedure, picture)))
    caption = "How often each pixel is seen at each step, over all annotated images."
    drawn = picture("locations", caption, lambda out: draw_locations(data.glimpses, data.grid, out))
    yield Section("Where glimpses lie", [drawn, _repeats(data)])
    scored = "score" in (record.get("quality") or {}).get("built", {})
    heading = "Score" if scored else "Expected posterior entropy"
    yield Section(heading, list(_epe(data, picture)))
    yield Section("The posterior", list(_quality(record, steps)))
    yield Section("Calibration", [_calibration(record, folder, picture)])
    yield Section("Completions and cost", list(_cost(record, picture)))


def _sequences(
    data: ReportData, procedure: Procedure | NogsError | None, picture: Draw
) -> Iterator[Part]:
    cases = [data.case(row) for row in range(min(SAMPLES, len(data.glimpses)))]
    for case, index in zip(cases, data.index, strict=False):
        if case.maps is None and case.image is None:
            yield _missing("maps of expected posterior entropy, nor images (--images joins them)")
            break
        caption = f"Image {index}: each step's map, the chosen cell marked, and what was then seen."
        yield picture(f"case-{index}", caption, partial(draw_epe, case, f"image {index}"))
    if data.images is not None:
        caption = f"The areas that the sequences of {min(STRIP, len(data.images))} images observe."
        yield picture("seen", caption, lambda out: draw_seen(data, STRIP, out))
    if isinstance(procedure, NogsError):
        yield Words(f"How a glimpse was chosen cannot be shown: {procedure}.", soft=True)
    elif procedure is not None and data.maps is not None and data.glimpses.shape[1] > 1:
        epe = data.maps[0, 1]
        caption = (
            f"How image {data.index[0]}'s second glimpse was chosen: what was seen, completions "
            "drawn given that, each one's nats after a glimpse at each location, and their mean "
            "over all completions, its least marked."
        )
        yield picture("procedure", caption, lambda out: draw_procedure(procedure, epe, out))


def _epe(data: ReportData, picture: Draw) -> Iterator[Part]:
    if data.epe is None:
        yield _missing("expected posterior entropies")
        return
    epe = data.epe
    caption = "At the chosen locations, over images: median, quartiles, and 10 % to 90 %; nats."
    yield picture("epe", caption, lambda out: draw_epe_steps(epe, out))
    quantiles = np.quantile(epe, (0.1, 0.5, 0.9), axis=0)
    rows = [("mean", *_numbers(epe.mean(0, dtype=np.float64)))]
    rows += [(n, *_numbers(q)) for n, q in zip(("10 %", "median", "90 %"), quantiles, strict=True)]
    yield Table(("nats", *_steps(epe.shape[1])), rows)


def _calibration(record: Mapping[str, Any], folder: Path, picture: Draw) -> Part:
    if not record.get("calibration"):
        return _missing("calibration: no posterior was trained for it")
    caption = "How often the posterior is right where it is how sure, along uniform glimpses."
    curves = read_calibration(folder)
    return picture("reliability", caption, lambda out: draw_reliability(curves, out))


def _summary(data: ReportData) -> Table:
    record, grid = data.record, data.grid
    images = record["images"]
    counts = ", ".join(f"{images[name]:,} {name}" for name in EVERY_SPLIT)
    rows = [
        ("sequences", f"{record['annotated']:,}, of {data.glimpses.shape[1]} glimpses"),
        ("images", counts),
        (
            "geometry",
            f"glimpses of {grid.glimpse_size} x {grid.glimpse_size} pixels on a grid of "
            f"{grid.shape[0]} x {grid.shape[1]}, images of {grid.image_size} x {grid.image_size}",
        ),
        ("origin", record["origin"]),
        ("licence", record.get("licence", "not recorded")),
        ("made by", f"nogs-bench {record['nogs_bench']}, task version {record['task_version']}"),
        ("digest", record["digest"]),
    ]
    return Table((), rows)


def _repeats(data: ReportData) -> Words:
    cells = data.grid.pixel_to_index(data.glimpses)
    repeated = sum(len(set(row)) < len(row) for row in cells.tolist())
    distinct = [len(np.unique(cells[:, t])) for t in range(cells.shape[1])]
    text = ", ".join(f"{count:,}" for count in distinct)
    return Words(
        f"Different locations at t = 1 .. {cells.shape[1]}: {text}, of {data.grid.cells:,}. "
        f"{repeated:,} of {len(cells):,} sequences look at a place twice."
    )


def _quality(record: Mapping[str, Any], steps: int) -> Iterator[Part]:
    if not record.get("quality"):
        yield _missing("quality of a posterior: none was trained for it")
        return
    yield Words("Along the built sequences and along random ones, on the annotated images.")
    rows = [
        (sequences, quantity.replace("_", "-"), *_numbers(values))
        for sequences, quantities in record["quality"].items()
        for quantity, values in quantities.items()
    ]
    yield Table(("sequences", "quantity", *_steps(steps)), rows)


def _cost(record: Mapping[str, Any], picture: Draw) -> Iterator[Part]:
    made_by = record["made_by"]
    sizes = made_by.get("effective_samples")
    if sizes:
        caption = "Effective sample size of the completions' weights, mean over images."
        yield picture("samples", caption, lambda out: draw_effective_samples(sizes, out))
    else:
        yield _missing("effective sample sizes")
    if "evaluations" not in made_by:
        yield _missing("cost: the sequences were not built here")
        return
    count = made_by["evaluations"]
    environment = made_by.get("environment", {})
    rows = [
        ("posteriors computed", f"{count:,}"),
        ("for each image", f"{count / max(record['annotated'], 1):,.0f}"),
        *((name, str(value)) for name, value in environment.items()),
    ]
    yield Table((), rows)


def _missing(what: str) -> Words:
    return Words(f"This dataset records no {what}.", soft=True)


def _steps(steps: int) -> list[str]:
    return [f"t = {t}" for t in range(1, steps + 1)]


def _numbers(values: Iterable[float]) -> list[str]:
    return [f"{value:.3f}" for value in values]
