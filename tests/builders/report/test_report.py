"""The page about a dataset: whole, by itself, and true to the rows."""

from __future__ import annotations

import base64
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from builds import SETTINGS
from nogs_bench.builders.dataset.parquet import LabelsOnly
from nogs_bench.builders.pipeline.command import build
from nogs_bench.builders.report.page import report
from nogs_bench.builders.report.procedure import lay_open
from nogs_bench.builders.search.epe import StepEpe
from nogs_bench.errors import NogsError
from nogs_bench.files.artefact import read_provenance, write_json
from nogs_bench.sequences.finding import SHIPPED
from nogs_bench.sequences.loading import load
from small_dataset import ROWS, TASK, annotations, write
from tiny import corner_task
from two_corners import family

CHROMIUM = shutil.which("chromium")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


class Page(HTMLParser):
    """Text, images and addresses of a page; every tag that needs it must be closed."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.text, self.images, self.addresses, self.open = "", [], [], []
        self.feed(path.read_text(encoding="utf-8"))
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = dict(attrs)
        self.addresses += [known[name] for name in ("src", "href", "srcset") if name in known]
        if tag == "img":
            assert known["alt"]
            self.images.append(base64.b64decode(str(known["src"]).partition("base64,")[2]))
        if tag not in ("img", "meta"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_a_report_shows_the_dataset_and_asks_nobody(tmp_path: Path) -> None:
    folder = write(tmp_path / "d")
    record = read_provenance(folder)
    made_by = {"effective_samples": [100.0, 31.4], "evaluations": 3 * 77}
    write_json(folder / "provenance.json", record | {"made_by": made_by, "origin": "<b>&me</b>"})
    path = report(folder)
    assert path == folder / "report.html"
    page = Page(path)
    assert all(address.startswith("data:image/png;base64,") for address in page.addresses)
    assert all(image.startswith(b"\x89PNG") for image in page.images)
    # Three sequences, what they saw, where, the EPE, the samples; no calibration was written.
    assert len(page.images) == 7
    assert "records no calibration" in page.text
    assert "<b>&me</b>" in page.text
    for number in (record["digest"], "231", "77", "1.250", "3, of 2 glimpses"):
        assert number in page.text
    means = annotations().epe.mean(0, dtype=np.float64)
    assert all(f"{mean:.3f}" in page.text for mean in means)
    assert report(folder, tmp_path / "again.html").read_bytes() == path.read_bytes()


def test_a_report_of_little_says_what_is_missing(tmp_path: Path) -> None:
    bare = {name: LabelsOnly(rows.labels) for name, rows in ROWS.items()}
    few = replace(annotations(), maps=None, epe=None)
    folder = write(tmp_path / "d", **bare, annotations=few, quality=None)
    page = Page(report(folder))
    assert len(page.images) == 1
    for what in ("maps of", "expected", "quality", "calibration", "effective", "cost"):
        assert f"records no {what}" in page.text
    joined = Page(report(folder, images=True, task=TASK))
    assert len(joined.images) == 5
    record = read_provenance(folder) | {"task": "unheard-of"}
    write_json(folder / "provenance.json", record)
    with pytest.raises(NogsError, match="unheard-of, which is not registered"):
        report(folder, images=True)


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("report") / "r.html"
    return report(SHIPPED / "cluttered-digits", out, images=True)


def test_the_shipped_dataset_s_report_has_all_figures(shipped: Path) -> None:
    page = Page(shipped)
    assert len(page.images) == 8
    assert "records no" not in page.text
    assert "0 of 1,500 sequences look at a place twice" in page.text
    assert shipped.stat().st_size < 1e6


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
@pytest.mark.parametrize("width", [360, 1200])
def test_a_browser_draws_the_page_without_scrolling_aside(
    shipped: Path, tmp_path: Path, width: int
) -> None:
    path = tmp_path / "r.html"
    probe = "<script>document.title=[document.documentElement.scrollWidth<=innerWidth,"
    probe += "[...document.images].every(i=>i.naturalWidth>0)].join()</script></body>"
    # The page allows no script at all; this one may run for the test.
    text = shipped.read_text(encoding="utf-8")
    assert "default-src 'none'" in text
    text = text.replace("default-src 'none'", "default-src 'none'; script-src 'unsafe-inline'")
    text = text.replace("</body>", probe)
    path.write_text(text, encoding="utf-8")
    options = [f"--user-data-dir={tmp_path / 'profile'}", f"--window-size={width},900"]
    done = subprocess.run(
        [
            str(CHROMIUM),
            *FLAGS,
            *options,
            "--virtual-time-budget=4000",
            "--dump-dom",
            path.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert "<title>true,true</title>" in done.stdout, done.stderr[-500:]


@pytest.mark.parametrize("posterior", ["avp", "bank"])
def test_a_step_of_algorithm_1_is_shown_as_the_build_took_it(
    tmp_path: Path, posterior: str
) -> None:
    """With as many completions shown as there are, their mean is the map that the build wrote."""
    task = corner_task()
    few = replace(task, annotation=replace(task.annotation, samples=4, first_samples=4))
    folder = build(few, tmp_path / "d", images=3, workers=1, device="cpu", posterior=posterior)
    rows, maps = load(folder, split="train[:1]")[0], load(folder, "maps", split="train[:1]")[0]
    first = few.grid.pixel_to_index(np.array(rows["glimpses"])[:1])
    shown = lay_open(folder, 0, first, task=few)
    assert shown.completions.shape == (4, 1, 12, 12)
    expected = np.array(maps["epe_map"])[1].ravel()
    np.testing.assert_allclose(shown.nats.mean(0), expected, atol=2e-3)  # kept as float16
    page = Page(report(folder, task=few))
    assert "second glimpse was chosen" in page.text
    for kept in (folder / ".build").glob("bank*.safetensors"):
        kept.unlink()
    assert "second glimpse" not in Page(report(folder, task=few)).text
    with pytest.raises(NogsError, match="is missing: name the folder that the dataset was built"):
        report(folder, task=few, build=folder)


def test_a_step_is_shown_with_the_settings_of_the_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task, folder = corner_task(), tmp_path / "d"
    changed = {
        "avp.network": "local:8k4s2-16",
        "avp.epochs": 1,
        "annotation.observed": "pasted",
        "annotation.together": False,
        "annotation.criterion": "cross-entropy",
        "annotation.samples": 4,
        "annotation.first_samples": 4,
    }
    build(task, folder, images=3, workers=1, device="cpu", overrides=changed)
    given = []

    def step(*arguments: Any) -> StepEpe:
        given.append(arguments[-1])
        return StepEpe(*arguments)

    monkeypatch.setattr("nogs_bench.builders.search.annotate.StepEpe", step)
    row, maps = load(folder, split="train[:1]")[0], load(folder, "maps", split="train[:1]")[0]
    first = task.grid.pixel_to_index(np.array(row["glimpses"])[:1])
    shown = lay_open(folder, 0, first, task=task)
    expected = np.array(maps["epe_map"])[1].ravel()
    np.testing.assert_allclose(shown.nats.mean(0), expected, atol=2e-3)  # kept as float16
    assert given == [None]  # apart, as the build computed it
    # Nobody registered the task: the page does without, and says so.
    page = Page(report(folder))
    assert "cannot be shown" in page.text
    assert "task corner, which is not registered" in page.text
    with pytest.raises(NogsError, match="corner, which is not registered"):
        report(folder, build=folder)
    # Another task of that name.
    other = replace(task, labels=(replace(task.labels[0], classes=("black", "other")),))
    with pytest.raises(NogsError, match="was not built of corner as that is now"):
        lay_open(folder, 0, first, task=other)
    [bank] = (folder / ".build").glob("bank-*.safetensors")
    bank.write_bytes(bank.read_bytes()[:100])
    with pytest.raises(NogsError, match=r"bank-.* is missing or damaged; run the build again"):
        report(folder, task=task, build=folder)


def test_a_step_of_one_of_several_tasks_is_shown(tmp_path: Path) -> None:
    """Their stages are in the folder above theirs."""
    tasks = family()
    settings = {"posterior": "avp", "images": 3, "anyway": True, "overrides": {"avp.epochs": 1}}
    build(tasks, tmp_path / "both", **(SETTINGS | settings))
    own = tmp_path / "both" / tasks[0].name
    page = Page(report(own, task=tasks[0], build=tmp_path / "both"))
    assert "second glimpse was chosen" in page.text


def test_a_record_of_stages_that_is_damaged_is_said_on_the_page(tmp_path: Path) -> None:
    folder = write(tmp_path / "d")
    record = read_provenance(folder)
    for stages in ({"first-step": {}}, {"first-step": 5, "posterior": {}}):
        write_json(folder / "provenance.json", record | {"made_by": {"stages": stages}})
        assert "record of its stages is damaged" in Page(report(folder)).text
        with pytest.raises(NogsError, match="record of its stages is damaged; build it again"):
            report(folder, build=folder)
    write_json(folder / "provenance.json", {"task": "corner"})
    with pytest.raises(NogsError, match="is damaged in annotated"):
        report(folder)


@pytest.mark.parametrize("posterior", ["bank", "avp"])
def test_sequences_of_one_glimpse_have_a_page(tmp_path: Path, posterior: str) -> None:
    task = corner_task()
    sigma = task.annotation.sigma and task.annotation.sigma[:1]
    task = replace(task, T=1, annotation=replace(task.annotation, sigma=sigma))
    folder = build(task, tmp_path / "n", **(SETTINGS | {"posterior": posterior}))
    page = Page(report(folder, task=task))
    assert page.images
    assert "second glimpse" not in page.text
