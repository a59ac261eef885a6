"""The tables of README and docs/results.md, computed again from the raw files.

Nothing of the package is used here but the tasks' facts (targets, rates, families): files are read
as JSON, and every formula is written out again.
"""

from __future__ import annotations

import gzip
import json
import math
import re
import statistics
import subprocess
import sys
from collections import defaultdict
from typing import Any

import numpy as np
import pytest
from scipy.integrate import trapezoid
from scipy.stats import binom, norm, t

from nogs_bench.tasks import get_task
from places import ROOT

DASH, INF = "\N{EN DASH}", math.inf
Run = dict[str, Any]
Ends = tuple[float, float]


def raw_runs() -> list[Run]:
    """Every run of the board: one a file, or all seeds of an entry in a compressed one."""
    found: list[Run] = []
    for path in sorted((ROOT / "leaderboard" / "results").rglob("*.json*")):
        text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        content = json.loads(text)
        found += runs_of_entry(content) if "runs" in content else [content]
    return found


def runs_of_entry(content: dict[str, Any]) -> list[Run]:
    """Of one file an entry: what is shared, what is each run's, and curves as columns."""
    runs = []
    for own in content["runs"]:
        run = merged(content["shared"], own)
        columns = run["curve"]
        run["curve"] = [
            dict(zip(columns, values, strict=True))
            for values in zip(*columns.values(), strict=True)
        ]
        runs.append(run)
    return runs


def merged(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    made = dict(first)
    for key, value in second.items():
        both = isinstance(value, dict) and isinstance(made.get(key), dict)
        made[key] = merged(made[key], value) if both else value
    return made


def passing(run: Run, passed: Any) -> Ends:
    """Between which validations it happened first."""
    before = 0
    for point in run["curve"]:
        if passed(point):
            return before, point["iteration"] or run["curve"][1]["iteration"]
        before = point["iteration"]
    return before, INF


def ratio(slow: Ends, fast: Ends) -> Ends:
    return (
        0 if fast[1] == INF else slow[0] / fast[1],
        INF if fast[0] == 0 else slow[1] / fast[0],
    )


def middle(values: list[Ends]) -> Ends:
    low, high = ([value[end] for value in values] for end in (0, 1))
    if min(low) > 0 and max(high) < INF:
        return float(np.exp(np.log(low).mean())), float(np.exp(np.log(high).mean()))
    return statistics.median(low), statistics.median(high)


def interval(
    values: list[Ends], near: list[list[Ends]] | None = None, far: Any = (), rams: int = 5
) -> Ends | None:
    """`near`, `far`: the same to lower and higher levels of `rams` runs of RAM."""
    n = len(values)
    if n < 2:
        return None
    if not all(bounded(each) for each in (values, *(near or []))):
        found = [plain(each) for each in (values, *far)]
        over = min(low for low, _ in found), max(high for _, high in found)
        return None if over == (0, INF) else over
    low, high = np.log(np.array(values, float).T)
    x, h = (low + high) / 2, (high - low) / 2
    error = (x.std(ddof=1) + math.sqrt((h**2).sum() / (n - 1))) / math.sqrt(n)
    freedom = n - 1
    if near:
        slower, faster = (np.log(np.array(each, float)).mean() for each in near)
        squares = np.array([error**2, ((slower - faster) / 2) ** 2])
        freedom = squares.sum() ** 2 / (squares**2 / [n - 1, rams - 1]).sum()
        error = math.sqrt(squares.sum())
    reach = t.ppf(0.975, freedom) * error
    return math.exp(low.mean() - reach), math.exp(high.mean() + reach)


def plain(values: list[Ends]) -> Ends:
    """At one level; by the sign test where not all are there."""
    if bounded(values):
        return interval(values) or (0, INF)
    two, one = by_signs(values, 0.025), by_signs(values, 0.05)
    return two if bounded([two]) or bounded([one]) else one


def bounded(values: list[Ends]) -> bool:
    return all(low > 0 and high < INF for low, high in values)


def by_signs(values: list[Ends], share: float) -> Ends:
    n = len(values)
    k = sum(binom.cdf(i, n, 0.5) <= share for i in range(n // 2))
    if k == 0:
        return 0, INF
    return sorted(v[0] for v in values)[k - 1], sorted(v[1] for v in values)[n - k]


def whole(x: float) -> str:
    return f"{x:,.0f}"


def times(x: float) -> str:
    return f"{x:.2f}" if x < 2 else f"{x:.1f}"


def ends_text(ends: Ends, form: Any) -> str:
    low, high = ends
    if low == 0 and high == INF:
        return "not known"
    if high == INF:
        return f"> {form(low)}"
    if low == 0:
        return f"< {form(high)}"
    return form(low) if form(low) == form(high) else f"{form(low)}{DASH}{form(high)}"


def spans_text(values: list[Ends], form: Any, unlearned: int = 0, levels: Any = ()) -> str:
    if not values:
        return DASH
    if unlearned == len(values):
        return "not learned"
    text, found = ends_text(middle(values), form), interval(values, *levels)
    if found is not None:
        both = found[0] > 0 and found[1] < INF
        inner = f"{form(found[0])}, {form(found[1])}" if both else ends_text(found, form)
        text += "" if inner == text else f" [{inner}]"
    return text + (f" ({unlearned} of {len(values)} not learned)" if unlearned else "")


def mean_text(values: list[float]) -> str:
    mean = np.mean(values)
    if len(values) == 1:
        return f"{100 * mean:.1f}"
    reach = t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / math.sqrt(len(values))
    return f"{100 * mean:.1f} [{100 * (mean - reach):.1f}, {100 * (mean + reach):.1f}]"


def over_tasks(found: list[Ends | None], form: Any, median: bool) -> str:
    known = [each for each in found if each is not None]
    if not known:
        return DASH
    lows, highs = ([float(each[end]) for each in known] for end in (0, 1))
    part = f" ({len(known)} of {len(found)})" if len(known) < len(found) else ""
    if median:
        text = ends_text((statistics.median(lows), statistics.median(highs)), form)
        low, high = by_signs(known, 0.025)
        if form is times and (low > 0 or high < INF):
            both = low > 0 and high < INF
            text += f" [{f'{form(low)}, {form(high)}' if both else ends_text((low, high), form)}]"
        return text + part
    if form is whole:  # iterations are added up, ratios multiplied
        low, high = sum(lows) / len(lows), sum(highs) / len(highs)
    else:
        low = math.exp(np.mean(np.log(lows))) if min(lows) else 0
        high = math.exp(np.mean(np.log(highs))) if max(highs) < INF else INF
    return ends_text((low, high), form) + part


def constant_cross_entropy(run: Run, task: Any) -> float:
    """Of always giving the classes' shares of the validation split, where these are recorded."""
    last = run["curve"][-1]
    if not last.get("classes"):
        return math.log(len(task.classes))
    counts = np.array([each["images"] for each in last["classes"] if each], float)
    return -float((counts / counts.sum() * np.log(counts / counts.sum())).sum())


class Entry:
    """All seeds of one task, protocol, model, method and rate, beside RAM's."""

    def __init__(self, runs: list[Run], ram: list[Run]):
        self.runs = sorted(runs, key=lambda run: run["seed"])
        self.ram = {run["seed"]: run for run in ram}
        first = runs[0]
        self.task = get_task(first["task"])
        self.plan = self.task.protocol(first["protocol"])
        self.is_ram = first["method"] == "ram"
        if ram:
            curves = [run["curve"] for run in ram]
            least = [min(p["cross_entropy"] for p in c) for c in curves]
            self.level = 0.01 + np.mean(least)
            self.error = np.std(least, ddof=1) / math.sqrt(len(least))
            self.says_something = self.level < constant_cross_entropy(ram[0], self.task)

    def as_good(self, run: Run, errors: float = 0) -> Ends:
        level = self.level + errors * self.error
        return passing(run, lambda p: p["cross_entropy"] <= level)

    def all_as_good(self) -> list[Ends]:
        """Of each run; nothing where a constant answer is as good."""
        return [self.as_good(run) for run in self.runs] if self.says_something else []

    def levels(self) -> tuple[list[list[Ends]], list[list[Ends]], int]:
        """The same at other levels, and how many runs of RAM the level is of."""
        rams = len(self.ram)
        wide = t.ppf(0.975, rams - 1) / norm.ppf(0.975)
        near, far = (
            [[self.as_good(run, errors) for run in self.runs] for errors in (-size, size)]
            for size in (1, wide)
        )
        return near, far, rams

    def to_target(self, run: Run) -> Ends:
        counts = [each["images"] for each in run["curve"][-1].get("classes") or () if each]
        if counts and max(counts) / sum(counts) >= self.plan.target_accuracy:
            return 0, INF  # a constant answer is as accurate
        return passing(run, lambda p: p["accuracy"] >= self.plan.target_accuracy)

    def settled(self, run: Run) -> Ends:
        """The paper's criterion of the task, wherever the best lies."""
        if self.task.convergence.criterion == "accuracy":
            best = max(p["accuracy"] for p in run["curve"])
            return passing(run, lambda p: p["accuracy"] >= best - 0.01)
        best = min(p["cross_entropy"] for p in run["curve"])
        return passing(run, lambda p: p["cross_entropy"] <= best + 0.01)

    def converged(self, run: Run) -> tuple[Ends, bool]:
        """The same where the run has settled, and whether it learned anything."""
        curve, last = run["curve"], run["curve"][-1]
        constant = constant_cross_entropy(run, self.task)
        if self.task.convergence.criterion == "accuracy":
            best = max(curve, key=lambda p: p["accuracy"])
        else:
            best = min(curve, key=lambda p: p["cross_entropy"])
        if min(p["cross_entropy"] for p in curve) >= constant or best["iteration"] == 0:
            return (last["iteration"], INF), False
        low, high = self.settled(run)
        return (low, INF if best["iteration"] > 0.85 * last["iteration"] else high), True

    def sooner(self, of: Any, pretraining: bool = False) -> list[Ends]:
        if self.is_ram or (of == self.as_good and not self.says_something):
            return []
        stage = self.runs[0]["hyperparameters"]["pretraining"]
        if pretraining and stage is None:
            return []
        more = stage["iterations"] if pretraining else 0
        found = []
        for run in self.runs:
            if run["seed"] in self.ram:
                slow, fast = of(self.ram[run["seed"]]), of(run)
                found.append(
                    ratio((slow[0] + more, slow[1] + more), (fast[0] + more, fast[1] + more))
                )
        return found

    def paper(self) -> Ends | None:
        pairs = [run for run in self.runs if run["seed"] in self.ram]
        if self.is_ram or not pairs:
            return None
        slow, fast = (
            np.array([self.settled(r) if self.converged(r)[1] else (0, INF) for r in each])
            for each in ([self.ram[run["seed"]] for run in pairs], pairs)
        )
        return ratio(tuple(slow.mean(0)), tuple(fast.mean(0)))

    def accuracy(self, name: str = "accuracy") -> list[float] | None:
        found = [run["test"].get(name) for run in self.runs]
        return None if None in found else found


def entries() -> dict[tuple[str, str, str, str, float], Entry]:
    groups: dict[tuple[str, str, str, str, float], list[Run]] = defaultdict(list)
    for run in raw_runs():
        rate = run["hyperparameters"]["learning_rate"]
        key = run["task"], run["protocol"], run["model"]["name"], run["method"], rate
        groups[key].append(run)
    made = {}
    for key, runs in groups.items():
        task, protocol, model, _, _ = key
        plan = get_task(task).protocol(protocol)
        usual = (plan.training or get_task(task).training).learning_rate
        made[key] = Entry(runs, groups.get((task, protocol, model, "ram", usual), []))
    return made


def table(file: str, mark: str) -> list[dict[int, str]]:
    """Cells of each row by number; an empty first one is that of the row above."""
    text = (ROOT / file).read_text(encoding="utf-8")
    (part,) = re.findall(rf"<!-- {mark} -->\n(.*?)<!-- end {mark} -->", text, re.S)
    rows, before = [], ""
    for line in part.strip().splitlines()[2:]:
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        before = cells[0] = cells[0] or before
        rows.append(dict(enumerate(cells)))
    return rows


@pytest.fixture(scope="module")
def found() -> dict[tuple[str, str, str, str, float], Entry]:
    return entries()


def named(found: dict[Any, Entry], cells: dict[int, str], model: str | None = None) -> list[Entry]:
    """The entries that a row of a table is about: of one task, or of many tasks of a family."""
    about = re.findall(r"`([^`]+)`", cells[0])
    method = re.findall(r"`([^`]+)`", cells[1])[0]
    rate = re.search(r" at (\S+)", cells[1])
    other = re.search(r", (\w+Net)\b", cells[0])
    model = other[1] if other else "reference"
    many = " tasks" in cells[0]
    members = []
    for (task, protocol, its_model, its_method, its_rate), entry in found.items():
        family = get_task(task).family
        if (family if many else task) != about[0] or (not many and protocol != about[1]):
            continue
        if (its_model, its_method) != (model, method):
            continue
        usual = (entry.plan.training or entry.task.training).learning_rate
        wanted = float(rate[1]) if rate else usual
        if math.isclose(its_rate, wanted):
            members.append(entry)
    assert members, cells
    return members


def one_or_many(members: list[Entry], of: Any, form: Any, median: bool = False) -> str:
    found = [of(entry) for entry in members]
    if len(members) == 1:
        return spans_text(found[0], form)
    return over_tasks([middle(values) if values else None for values in found], form, median)


def accuracies(members: list[Entry], name: str = "accuracy", median: bool = False) -> str:
    found = [entry.accuracy(name) for entry in members]
    if None in found:
        return DASH
    if median:
        return f"{100 * statistics.median(np.mean(each) for each in found):.1f}"
    if len({len(each) for each in found}) > 1:
        return mean_text([float(np.mean([np.mean(each) for each in found]))])
    return mean_text(np.mean(found, axis=0).tolist())


def papers(members: list[Entry], median: bool = False) -> str:
    found = [entry.paper() for entry in members]
    if len(found) > 1:
        return over_tasks(found, times, median)
    return DASH if found[0] is None else ends_text(found[0], times)


@pytest.mark.parametrize(("mark", "pretraining"), [("photographs", 0), ("headline", 1)])
def test_the_readme_s_tables(found: dict[Any, Entry], mark: str, pretraining: int) -> None:
    rows = table("README.md", mark)
    assert rows
    for cells in rows:
        members, median = named(found, cells), "median of" in cells[0]
        assert {entry.task.channels for entry in members} == {1 if pretraining else 3}
        assert cells[2] == one_or_many(members, lambda e: e.sooner(e.as_good), times, median)
        if pretraining:
            assert cells[3] == one_or_many(
                members, lambda e: e.sooner(e.as_good, True), times, median
            )
        assert cells[3 + pretraining] == papers(members, median)
        sooner = one_or_many(members, lambda e: e.sooner(e.to_target), times, median)
        assert cells[4 + pretraining] == sooner
        ram = named(found, {0: cells[0], 1: "`ram`"})
        for place, name in enumerate(
            ("accuracy", "balanced_accuracy")[: len(cells) - 5 - pretraining]
        ):
            own, other = (accuracies(each, name, median) for each in (members, ram))
            assert cells[5 + pretraining + place] == f"{own} ({other})"


def gain(entry: Entry) -> str:
    """Mean accuracy over the whole run above RAM's, by trapezoids, with its interval over seeds."""
    if entry.is_ram:
        return DASH

    def area(run: Run) -> float:
        at, height = ([p[name] for p in run["curve"]] for name in ("iteration", "accuracy"))
        return float(trapezoid(height, at)) / at[-1]

    each = np.array([100 * (area(run) - area(entry.ram[run["seed"]])) for run in entry.runs])
    reach = t.ppf(0.975, len(each) - 1) * each.std(ddof=1) / math.sqrt(len(each))
    return f"{each.mean():+.1f} [{each.mean() - reach:+.1f}, {each.mean() + reach:+.1f}]"


@pytest.mark.parametrize(("mark", "before"), [("ways", 2), ("ablation", 3)])
def test_the_tables_of_ways(found: dict[Any, Entry], mark: str, before: int) -> None:
    rows = table("docs/ways.md", mark)
    assert rows
    for cells in rows:
        members = named(found, cells)
        (entry,) = members
        own = [cells[before + number] for number in range(5)]
        assert own[0] == spans_text(entry.sooner(entry.as_good), times)
        assert own[1] == spans_text([entry.to_target(run) for run in entry.runs], whole)
        assert own[2] == spans_text(entry.sooner(entry.to_target), times)
        assert own[3] == gain(entry)
        assert own[4] == accuracies(members)


@pytest.mark.parametrize("mark", ["photographs", "study"])
def test_the_study_s_tables(found: dict[Any, Entry], mark: str) -> None:
    rows = table("docs/results.md", mark)
    assert rows
    for cells in rows:
        members, median = named(found, cells), "median of" in cells[0]

        def settled(entry: Entry) -> list[Ends]:
            return [entry.converged(run)[0] for run in entry.runs]

        if len(members) > 1:
            assert cells[2] == one_or_many(members, Entry.all_as_good, whole, median)
        else:
            (entry,) = members
            assert cells[2] == spans_text(entry.all_as_good(), whole, levels=entry.levels())
        assert cells[3] == one_or_many(members, lambda e: e.sooner(e.as_good), times, median)
        assert cells[4] == one_or_many(members, lambda e: e.sooner(e.as_good, True), times, median)
        assert cells[5] == one_or_many(
            members, lambda e: [e.to_target(r) for r in e.runs], whole, median
        )
        assert cells[6] == one_or_many(members, lambda e: e.sooner(e.to_target), times, median)
        if len(members) == 1:
            unlearned = sum(not members[0].converged(run)[1] for run in members[0].runs)
            assert cells[7] == spans_text(settled(members[0]), whole, unlearned)
        assert cells[8] == papers(members, median)
        assert cells[9] == accuracies(members, median=median)
        assert cells[10] == accuracies(members, "balanced_accuracy", median)
        if len(members) == 1:
            cost = members[0].runs[0].get("build_cost")
            amount, unit = cells[11].split() if cost else (0, "s")
            length = {"s": 1, "min": 60, "h": 3600}[unit]
            assert float(amount) * length == pytest.approx(cost["seconds"] if cost else 0, rel=5e-3)
            target, rate = re.search(r"([\d.]+) %, (\S+)$", cells[0]).groups()
            assert float(target) == pytest.approx(100 * members[0].plan.target_accuracy)
            assert float(rate) == members[0].runs[0]["hyperparameters"]["learning_rate"] or (
                " at " in cells[1]
            )


@pytest.mark.parametrize("what", ["tables", "protocols", "shipped"])
def test_the_tables_are_up_to_date(what: str) -> None:
    command = [sys.executable, str(ROOT / "docs" / "make.py"), what, "--check"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr


def test_the_attributes_table(found: dict[Any, Entry]) -> None:
    """Each task of the large families; empty while there is none."""
    text = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    if "<!-- attributes -->\n\nNo results yet." in text:
        assert not any("mean of" in cells[0] for cells in table("docs/results.md", "study"))
        return
    for cells in table("docs/results.md", "attributes"):
        task, method = cells[0].strip("`"), re.findall(r"`([^`]+)`", cells[1])[0]
        (entry,) = (
            e for k, e in found.items() if (k[0], k[2], k[3]) == (task, "reference", method)
        )
        assert cells[2] == spans_text(entry.sooner(entry.as_good), times)
        assert cells[3] == accuracies([entry])
        assert cells[4] == accuracies([entry], "balanced_accuracy")
