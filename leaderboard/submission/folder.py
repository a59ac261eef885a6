"""What a submission consists of: checked result files, a message, and the Hub's own format."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from pydantic import ValidationError

from nogs_bench.errors import NogsError
from nogs_bench.figures import (
    HUB_SCORES,
    HubScore,
    duration,
    estimate_text,
    hub_scores,
    method_text,
    percent,
    rate_text,
    spans_text,
    target,
    times,
)
from nogs_bench.files import require_empty, write_text
from nogs_bench.leaderboard.joint_checks import SEEDS
from nogs_bench.leaderboard.submission.clones import add_to_clone, check_clone
from nogs_bench.leaderboard.validation import validate
from nogs_bench.results import (
    BASELINE,
    BuildCost,
    RunResult,
    ScoreRow,
    first_fault,
    load_apart,
    result_files,
    save_entries,
    score_runs,
)

RESULTS, MESSAGE = "results", "MESSAGE.md"


def submit(
    results: str | Path,
    out: str | Path,
    author: str,
    url: str,
    build_cost: BuildCost | None = None,
    dataset_id: str | None = None,
    seeds: int = SEEDS,
    clone: str | Path | None = None,
    replace: bool = False,
) -> Path:
    """Write a submission of the results in the folder `results` into `out`; returns `out`.

    - `results/FAMILY/*.json.gz`: the files for a pull request, one an entry, with `build_cost`
      where sequences supervised and none is declared yet.
    - `MESSAGE.md`: the pull request's text, scores included.
    - `.eval_results/nogs-bench.yaml`: the scores as the Hub reads them from a model's repository,
      if `dataset_id` names the benchmark's dataset there (whose `eval.yaml` publishing writes);
      `{task}` in it stands for the task's name.

    **Arguments**

    - `author`, `url`: who submits, and where the code that made the results is.
    - `seeds`: how many an entry needs.
    - `clone`: a clone of your fork of the repository; the result files are saved in it too, at
      their place, if they may stand beside those there.
    - `replace`: whether `out` may be a folder that holds anything; of an earlier submission there,
      the result files go.

    Raises `NogsError` with the first fault if the results may not stand on the leaderboard. Nothing
    is sent anywhere.
    """
    folder, out = Path(results), Path(out)
    require_empty(out, replace)
    if (out / RESULTS).resolve() in (folder.resolve(), *folder.resolve().parents):
        raise NogsError(f"--out {out}: the submission would replace {folder}; give another folder")
    earlier = result_files(out / RESULTS, deep=True)
    if earlier and not (out / MESSAGE).is_file():
        raise NogsError(f"{earlier[0]} is of no earlier submission; give another --out")
    runs = load_apart(folder)
    lacking = [run for run in runs if run.built and run.build_cost is None]
    if build_cost is not None and len({run.dataset is None for run in lacking}) > 1:
        raise NogsError(
            "the cost of sequences is another than that of an AVP that teaches alone; submit "
            f"{next(run.method for run in lacking if run.dataset is None)} apart"
        )
    runs = [_declared(run, build_cost) for run in runs]
    with TemporaryDirectory(prefix="nogs-bench-") as temporary:
        save_entries(runs, Path(temporary))
        faults = validate(temporary, seeds).faults
    if faults:
        raise NogsError(
            f"not fit for the leaderboard ({len(faults)} faults): {faults[0]}; RULES.md says more"
        )
    rows = score_runs(runs).rows
    tasks = sorted({row.task for row in rows})
    if dataset_id is not None and len(tasks) > 1 and "{task}" not in dataset_id:
        raise NogsError(
            f"--dataset-id {dataset_id} is one dataset, and the results are of {len(tasks)} tasks "
            f"({', '.join(tasks)}): write {{task}} where the task's name stands in its dataset's"
        )
    if clone is not None:
        check_clone(runs, Path(clone), seeds)
        add_to_clone(runs, Path(clone))
    for path in earlier:
        path.unlink()
    save_entries(runs, out / RESULTS)
    write_text(out / MESSAGE, message(rows, runs, author, url))
    if dataset_id is not None:
        write_text(out / HUB_SCORES, hub_results(rows, dataset_id, url))
    return out


def build_cost(seconds: float | None, hardware: str | None) -> BuildCost | None:
    """The declared cost. Raises `NogsError` if one half is missing or bad."""
    if seconds is None and hardware is None:
        return None
    if seconds is None or hardware is None:
        raise NogsError("give both --build-seconds and --build-hardware, or neither")
    try:
        return BuildCost(seconds=seconds, hardware=hardware)
    except ValidationError as error:
        raise NogsError(f"build cost: {first_fault(error)}") from error


def _declared(run: RunResult, cost: BuildCost | None) -> RunResult:
    if not run.built or run.build_cost is not None or cost is None:
        return run
    return run.model_copy(update={"build_cost": cost})


def message(rows: Sequence[ScoreRow], runs: Sequence[RunResult], author: str, url: str) -> str:
    """The pull request's text, Markdown."""
    costs = {
        f"{run.dataset.name if run.dataset else 'the AVP'}: {duration(run.build_cost.seconds)} on "
        f"{run.build_cost.hardware}"
        for run in runs
        if run.build_cost is not None
    }
    hardware = sorted({run.environment.hardware for run in runs})
    lines = [
        f"# Submission of {len(runs)} runs",
        "",
        f"- Author: {plain(author)}",
        f"- Code: {plain(url)}",
        f"- Trained on: {plain(', '.join(hardware))}",
        *(f"- Build cost, {plain(cost)}" for cost in sorted(costs)),
        "",
        *score_lines(rows),
        "",
        "I have read RULES.md: sequences are of training images and declared, nothing was chosen",
        "by the test split, and all seeds that were run are here.",
        "",
    ]
    return "\n".join(lines)


def score_lines(
    rows: Sequence[ScoreRow], more: Mapping[str, Sequence[str]] | None = None
) -> list[str]:
    """A Markdown table of scores; `more` are further columns, a cell for each of `rows`."""
    columns = {
        "task": [row.task for row in rows],
        "protocol": [row.protocol for row in rows],
        "method": [plain(row.method) for row in rows],
        "model": [plain(row.model) for row in rows],
        "seeds": [str(len(row.seeds)) for row in rows],
        "rate": [rate_text(row.learning_rate) for row in rows],
        "times sooner as good as ram": [spans_text(row.headline, times) for row in rows],
        "iterations to target": [spans_text(row.time_to_target) for row in rows],
        "test accuracy, %": [estimate_text(row.test_accuracy, percent) for row in rows],
        **(more or {}),
    }
    lines = [columns, ["---"] * len(columns), *zip(*columns.values(), strict=True)]
    return [f"| {' | '.join(line)} |" for line in lines]


def plain(text: str) -> str:
    """One line that Markdown leaves as it is."""
    kept = " ".join(text.split())
    return "".join(f"\\{letter}" if letter in "\\`*_{}[]<>()#+!|" else letter for letter in kept)


def hub_results(rows: Sequence[ScoreRow], dataset_id: str, url: str) -> str:
    """`.eval_results` YAML: the test accuracy of each task, protocol and method, without RAM's
    where there are others."""
    own = [row for row in rows if row.method != BASELINE]
    scores = [
        HubScore(
            dataset_id.replace("{task}", row.task),
            row.protocol,
            row.test_accuracy.mean,
            f"{row.task}, {method_text(row)}, {row.model}, {len(row.seeds)} seeds, single "
            f"rollouts; iterations to {target(row.target_accuracy)} %: "
            f"{spans_text(row.time_to_target)}",
        )
        for row in own or rows
    ]
    return hub_scores(scores, url)
