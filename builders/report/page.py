"""`nogs-bench report`: one HTML page about a dataset, for a look at what was built."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from nogs_bench.builders.report.data import ReportData, read_report_data
from nogs_bench.builders.report.procedure import Procedure, is_open, lay_open
from nogs_bench.builders.report.sections import sections_of
from nogs_bench.errors import NogsError
from nogs_bench.figures import rendered
from nogs_bench.files import write_text
from nogs_bench.sequences import dataset_folder
from nogs_bench.tasks import Task


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
        sections = list(sections_of(folder, data, procedure, Path(name)))
    text = rendered(
        "nogs_bench.builders.report",
        "report",
        title=f"Near-optimal glimpse sequences: {data.record['task']}",
        sections=sections,
        record=json.dumps(data.record, indent=1, sort_keys=True),
    )
    write_text(page, text)
    return page


def _procedure(
    data: ReportData, folder: Path, build: str | Path | None, task: str | Task | None
) -> Procedure | NogsError | None:
    """The choice of the first image's second glimpse, if it can be shown; or why it cannot."""
    first = data.grid.pixel_to_index(data.glimpses[0, :1])
    try:
        if build is None and not is_open(data.record, folder):
            return None
        return lay_open(folder, int(data.index[0]), first, task, Path(build or folder))
    except NogsError as error:
        if build is not None:
            raise
        return error
