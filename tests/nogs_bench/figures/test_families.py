"""Many tasks of one family in one table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from matplotlib.axes import Axes

from nogs_bench.figures import plot_bars, scores_tables
from nogs_bench.figures.families import LEAST, family_table, of_families
from nogs_bench.results import Scores, save_result, score_runs
from nogs_bench.tasks.families.celeba_hq import CELEBA_HQ
from results import run_result

NAMES = [task.name for task in CELEBA_HQ[:LEAST]]
SLOW, QUICK = (0.5, 0.6, 0.7, 0.8), (0.5, 0.9, 0.9, 0.9)


def scores_of(names: list[str]) -> Scores:
    runs = []
    for number, name in enumerate(names):
        for seed in range(2):
            gain = 0.01 * number + 0.002 * seed
            slow = [a + gain for a in SLOW]
            runs.append(run_result("ram", seed, slow, name))
            runs.append(run_result("ps-nogs", seed, QUICK, name))
    return score_runs(runs)


def test_the_means_come_first_and_then_the_tasks() -> None:
    scores = scores_of(NAMES)
    (large,), rest = of_families(scores.rows)
    assert not rest
    table = family_table(*large)
    assert table.title.startswith(f"celeba-hq, scratch, reference: {LEAST} tasks, 750 iterations")
    assert [row[0] for row in table.tasks] == [n.removeprefix("celeba-hq-") for n in NAMES]
    ram, nogs = table.heads.index("ram: test, %"), table.heads.index("ps-nogs: test, %")
    # Test accuracies of RAM: 80 % and .2, one more a task, over seeds 0 and 1.
    assert [row[ram] for row in table.tasks] == ["80.1", "81.1", "82.1", "83.1", "84.1"]
    assert table.means[ram].startswith("82.1 [")
    assert {row[nogs] for row in table.tasks} == {"90.0"}
    assert table.means[0] == f"mean of {LEAST}"
    (printed,) = scores_tables(scores)
    assert printed.row_count == LEAST + 2


def test_a_median_is_known_where_one_task_never_gets_there() -> None:
    """PS-NOGS stays below RAM's best on one task of six."""
    names = [task.name for task in CELEBA_HQ[:6]]
    never = [run_result("ps-nogs", seed, [0.5, 0.55, 0.55, 0.55], names[0]) for seed in range(2)]
    ram = [run_result("ram", seed, SLOW, names[0]) for seed in range(2)]
    rows = [*scores_of(names[1:]).rows, *score_runs([*ram, *never]).rows]
    table = family_table("celeba-hq", rows)
    column = table.heads.index("ps-nogs: times sooner")
    assert table.means[column] == "not known"
    assert table.medians[0] == "median of 6"
    # Five tasks are alike. Of six the sign test leaves out none, and one is not known at all.
    assert table.medians[column] == table.tasks[0][column]
    ram_test, nogs_test = table.heads.index("ram: test, %"), table.heads.index("ps-nogs: test, %")
    assert table.medians[ram_test] == "81.6"  # of 80, 80.1, 81.1 ... 84.1
    assert table.medians[nogs_test] == "90.0"


def test_there_is_no_mean_of_an_entry_that_was_not_run_on_each_task() -> None:
    """Means over 4 tasks of one method stood beside means over 5 of another as "mean of 5"."""
    whole = scores_of(NAMES)
    rows = [r for r in whole.rows if (r.task, r.method) != (NAMES[-1], "ps-nogs")]
    table = family_table("celeba-hq", rows)
    means = dict(zip(table.heads, table.means, strict=True))
    assert means["ram: test, %"].startswith("82.1 [")
    assert {text for head, text in means.items() if head.startswith("ps-nogs: ")} == {""}


def test_without_ram_nothing_is_sooner() -> None:
    table = family_table(
        "celeba-hq", score_runs([run_result("ps-nogs", 0, QUICK, name) for name in NAMES]).rows
    )
    shown = dict(zip(table.heads, table.medians, strict=True))
    assert shown["ps-nogs: test, %"] == "90.0"
    assert shown["ps-nogs: times sooner"] == shown["ps-nogs: as good as ram ever gets"] == ""


def test_few_tasks_have_a_table_each() -> None:
    scores = scores_of(NAMES[:-1])
    large, rest = of_families(scores.rows)
    assert not large
    assert len(rest) == 2 * (LEAST - 1)
    assert len(scores_tables(scores)) == LEAST - 1


def test_bars_of_one_family_are_named_without_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[list[str]] = []
    whole = Axes.set_xticks

    def noting(axes: Axes, at: Any, names: list[str], **how: Any) -> Any:
        drawn.append(list(names))
        return whole(axes, at, names, **how)

    monkeypatch.setattr(Axes, "set_xticks", noting)
    runs = [run_result("ram", 0, SLOW, name) for name in NAMES]
    for run in runs:
        save_result(run, tmp_path)
    out = plot_bars(tmp_path, tmp_path / "bars.svg")
    assert out.stat().st_size > 1000
    assert sorted(drawn[0]) == sorted(name.removeprefix("celeba-hq-") for name in NAMES)
    save_result(run_result("ram", 0, SLOW, "cluttered-digits"), tmp_path)
    plot_bars(tmp_path, tmp_path / "bars.svg")
    assert sorted(drawn[1]) == sorted([*NAMES, "cluttered-digits"])


def test_tasks_whose_level_says_nothing_are_left_out_and_counted() -> None:
    """Of one task RAM stays at a constant answer: the others' figures are of 4 of 5."""
    runs = []
    for number, name in enumerate(NAMES):
        ram, quick = run_result("ram", 0, SLOW, name), run_result("ps-nogs", 0, QUICK, name)
        if number == 0:
            flat = tuple(p.model_copy(update={"cross_entropy": 0.7}) for p in ram.curve)
            ram = ram.model_copy(update={"curve": flat})
        runs += [ram, quick]
    ((large,), _) = of_families(score_runs(runs).rows)
    table = family_table(*large)
    at = table.heads.index("ps-nogs: times sooner")
    assert [row[at] == "" for row in table.tasks] == [True, False, False, False, False]
    # RAM comes within .01 of its least in the third period, PS-NOGS in the first.
    assert table.means[at] == "> 2.0 (4 of 5)"
    assert table.medians[at].startswith("> 2.0")
    assert table.medians[at].endswith("(4 of 5)")
    assert table.means[at - 1] == "< 250 (4 of 5)"
