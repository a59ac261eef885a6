"""`nogs-bench report`: one HTML page about a dataset, for a look at what was built."""

from __future__ import annotations

import base64
import json
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from nogs_bench.builders.dataset import draw_locations
from nogs_bench.builders.posterior import plot_reliability, read_calibration
from nogs_bench.builders.report.data import ReportData, read_report_data
from nogs_bench.builders.report.figures import (
    draw_effective_samples,
    draw_epe_steps,
    draw_procedure,
    draw_seen,
)
from nogs_bench.builders.report.procedure import Procedure, is_open, lay_open
from nogs_bench.errors import NogsError
from nogs_bench.figures import draw_epe
from nogs_bench.files import write_text
from nogs_bench.sequences import dataset_folder
from nogs_bench.tasks import Task

SAMPLES = 3
STRIP = 10
STYLE = """
:root { color-scheme: light dark; --ink: #1d2330; --soft: #5b6475; --line: #d9dde5; --page: #fff; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e9ef; --soft: #9aa4b5; --line: #3a4150; --page: #14171d; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 60rem; padding: 1rem; color: var(--ink); background: var(--page);
  font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2.2rem; }
p, figcaption { max-width: 44rem; } figcaption, .soft { color: var(--soft); font-size: .9rem; }
figure { margin: 1rem 0; }
.wide { overflow-x: auto; }
.wide img { display: block; max-width: 100%; min-width: 30rem; background: #fff;
  border-radius: 4px; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
td, th { padding: .25rem .8rem .25rem 0; text-align: left; border-bottom: 1px solid var(--line);
  vertical-align: top; overflow-wrap: normal; }
pre { overflow-x: auto; font-size: .8rem; }
"""


def page_of(dataset: str | Path, out: str | Path | None = None) -> Path:
    """Where the report on a dataset goes, as `report` has it."""
    home = Path(dataset) if Path(dataset).is_dir() else Path()
    return Path(out) if out else home / "report.html"


def report(
    dataset: str | Path,
    out: str | Path | None = None,
    images: str | Path | bool | None = None,
    task: str | Task | None = None,
    build: str | Path | None = None,
) -> Path:
    """Write one self-contained HTML page about a dataset; it makes no requests.

    It shows sample sequences with their heat maps and what they saw (the paper's figures 2 and
    13), how a glimpse was chosen (figure 7), where glimpses lie at each step (figure 4), the
    expected posterior entropy by step, the completions' effective sample sizes, the posterior's
    quality and calibration, and the cost. What a dataset does not record is said to be missing.

    **Arguments**

    - `dataset`: as `nogs_bench.load` has it: a folder, a task's name or a name on the Hub.
    - `out`: the page; default: `report.html` in the folder, or in the working directory if
      `dataset` is no folder.
    - `images`, `task`: as `nogs_bench.load` has them, for a dataset that has no images. None: the
      task's own, if they need no folder.
    - `build`: the folder that the dataset was built in: shows the choice of a second glimpse from
      completions on (figure 7). Default: `dataset`, if the build's files are there; if that
      glimpse cannot be shown, the page says why.

    **Returns** the page's path. Raises `NogsError` if there is no such dataset, it is not
    whole or has no sequence, or the files of `build` or the task are gone.
    """
    folder = dataset_folder(dataset, "annotations")
    data = read_report_data(dataset, images, task)
    procedure = _procedure(data, folder, build, task)
    page = page_of(dataset, out)
    with tempfile.TemporaryDirectory() as name:
        body = "\n".join(_sections(folder, data, procedure, Path(name)))
    title = escape(f"Near-optimal glimpse sequences: {data.record['task']}")
    write_text(
        page,
        "<!doctype html>\n"
        f'<html lang="en"><head><meta charset="utf-8"><title>{title}</title>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<style>{STYLE}</style></head>\n<body><h1>{title}</h1>\n{body}\n</body></html>\n",
    )
    return page


def _procedure(
    data: ReportData, folder: Path, build: str | Path | None, task: str | Task | None
) -> Procedure | NogsError | None:
    """The choice of the first image's second glimpse, if it can be shown; or why it cannot."""
    first = data.grid.pixel_to_index(data.glimpses[0, :1])
    try:
        if build is None and not is_open(data.record, folder):
            return None
        return lay_open(data.record, Path(build or folder), int(data.index[0]), first, task)
    except NogsError as error:
        if build is not None:
            raise
        return error


def _sections(
    folder: Path, data: ReportData, procedure: Procedure | NogsError | None, work: Path
) -> Iterable[str]:
    record, steps = data.record, data.glimpses.shape[1]

    def picture(name: str, caption: str, draw: Callable[[Path], object]) -> str:
        path = work / f"{name}.png"
        draw(path)
        code = base64.b64encode(path.read_bytes()).decode()
        text = escape(caption)
        return (
            f'<figure><div class="wide"><img alt="{text}" src="data:image/png;base64,{code}"></div>'
            f"<figcaption>{text}</figcaption></figure>"
        )

    yield _summary(data)
    yield "<h2>Sequences</h2>"
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
        why = escape(str(procedure))
        yield f'<p class="soft">How a glimpse was chosen cannot be shown: {why}.</p>'
    elif procedure is not None and data.maps is not None and steps > 1:
        epe = data.maps[0, 1]
        caption = (
            f"How image {data.index[0]}'s second glimpse was chosen: what was seen, completions "
            "drawn given that, each one's nats after a glimpse at each location, and their mean "
            "over all completions, its least marked."
        )
        yield picture("procedure", caption, lambda out: draw_procedure(procedure, epe, out))
    yield "<h2>Where glimpses lie</h2>"
    caption = "How often each pixel is seen at each step, over all annotated images."
    yield picture("locations", caption, lambda out: draw_locations(data.glimpses, data.grid, out))
    yield _repeats(data)
    scored = "score" in (record.get("quality") or {}).get("built", {})
    yield f"<h2>{'Score' if scored else 'Expected posterior entropy'}</h2>"
    if data.epe is None:
        yield _missing("expected posterior entropies")
    else:
        epe = data.epe
        caption = "At the chosen locations, over images: median, quartiles, and 10 % to 90 %; nats."
        yield picture("epe", caption, lambda out: draw_epe_steps(epe, out))
        quantiles = np.quantile(epe, (0.1, 0.5, 0.9), axis=0)
        rows = [("mean", *_numbers(epe.mean(0, dtype=np.float64)))]
        rows += [
            (n, *_numbers(q)) for n, q in zip(("10 %", "median", "90 %"), quantiles, strict=True)
        ]
        yield _table(("nats", *_steps(steps)), rows)
    yield "<h2>The posterior</h2>"
    yield from _quality(record, steps)
    yield "<h2>Calibration</h2>"
    if record.get("calibration"):
        caption = "How often the posterior is right where it is how sure, along uniform glimpses."
        curves = read_calibration(folder)
        yield picture("reliability", caption, lambda out: plot_reliability(curves, out))
    else:
        yield _missing("calibration: no posterior was trained for it")
    yield "<h2>Completions and cost</h2>"
    yield from _cost(record, picture)
    record_text = escape(json.dumps(record, indent=1, sort_keys=True))
    yield f"<details><summary>All that is recorded</summary><pre>{record_text}</pre></details>"


def _summary(data: ReportData) -> str:
    record, grid = data.record, data.grid
    images = record["images"]
    counts = ", ".join(f"{images[name]:,} {name}" for name in ("train", "validation", "test"))
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
    return _table((), rows)


def _repeats(data: ReportData) -> str:
    cells = data.grid.pixel_to_index(data.glimpses)
    repeated = sum(len(set(row)) < len(row) for row in cells.tolist())
    distinct = [len(np.unique(cells[:, t])) for t in range(cells.shape[1])]
    text = ", ".join(f"{count:,}" for count in distinct)
    return (
        f"<p>Different locations at t = 1 .. {cells.shape[1]}: {text}, of {data.grid.cells:,}. "
        f"{repeated:,} of {len(cells):,} sequences look at a place twice.</p>"
    )


def _quality(record: Mapping[str, Any], steps: int) -> Iterable[str]:
    if not record.get("quality"):
        yield _missing("quality of a posterior: none was trained for it")
        return
    yield "<p>Along the built sequences and along random ones, on the annotated images.</p>"
    rows = [
        (sequences, quantity.replace("_", "-"), *_numbers(values))
        for sequences, quantities in record["quality"].items()
        for quantity, values in quantities.items()
    ]
    yield _table(("sequences", "quantity", *_steps(steps)), rows)


def _cost(record: Mapping[str, Any], picture: Callable[..., str]) -> Iterable[str]:
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
    yield _table((), rows)


def _missing(what: str) -> str:
    return f'<p class="soft">This dataset records no {escape(what)}.</p>'


def _steps(steps: int) -> list[str]:
    return [f"t = {t}" for t in range(1, steps + 1)]


def _numbers(values: Iterable[float]) -> list[str]:
    return [f"{value:.3f}" for value in values]


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    def line(cells: Sequence[str], kind: str) -> str:
        return "<tr>" + "".join(f"<{kind}>{escape(cell)}</{kind}>" for cell in cells) + "</tr>"

    lines = [*([line(header, "th")] if header else []), *(line(row, "td") for row in rows)]
    return f'<div class="wide"><table>{"".join(lines)}</table></div>'
