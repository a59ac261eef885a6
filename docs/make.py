"""What in the documentation is computed: written between its marks, from the results.

    python docs/make.py tables        # README.md, docs/results.md and ways.md, from the results
    python docs/make.py protocols     # docs/tasks.md, from the tasks
    python docs/make.py shipped       # docs/sequences.md, from the shipped sequences' record
    python docs/make.py coverage      # docs/coverage.md, by simulation (minutes)

A mark is `<!-- NAME -->`, its end `<!-- end NAME -->`. `python docs/make.py tables --check` writes
nothing, and fails if something would change.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from pathlib import Path

from cells import NONE, Table, markdown
from results_tables import ablation, at_reference, attributes, headline, study, ways

from nogs_bench.figures import target
from nogs_bench.figures.families import LEAST
from nogs_bench.files import read_provenance
from nogs_bench.leaderboard.validation import load_board
from nogs_bench.results import ScoreRow
from nogs_bench.sequences import SHIPPED
from nogs_bench.tasks import TASKS, get_task

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "leaderboard" / "results"
STUDY = ("ram", "ram+", "ps-nogs", "ps-hgs", "ps-h1", "ps-h5", "ps-nogs-anneal")
PHOTOGRAPH = 3  # channels
# Attributes that live in places: README shows these. They were chosen before anything was trained.
IN_PLACES = tuple(
    f"celeba-10k-{name}"
    for name in (
        "mouth-slightly-open",
        "smiling",
        "high-cheekbones",
        "wearing-lipstick",
        "heavy-makeup",
        "eyeglasses",
        "blond-hair",
        "black-hair",
    )
)
# Columns of `headline`: of photographs, which have no pre-training, and of balanced tasks.
WITHOUT_PRETRAINING, WITHOUT_BALANCED = (0, 1, 2, 4, 5, 6, 7), (0, 1, 2, 3, 4, 5, 6)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("what", choices=sorted(WRITERS))
    arguments.add_argument("--check", action="store_true", help="write nothing; fail if outdated")
    given = arguments.parse_args()
    changed = [name for name, text in WRITERS[given.what]() if _write(name, text, given.check)]
    if given.check and changed:
        sys.exit(f"outdated: {', '.join(changed)}; run python docs/make.py {given.what}")
    print(f"written: {', '.join(changed) or 'nothing has changed'}")


def tables() -> Iterable[tuple[str, dict[str, str]]]:
    """Each file, and the text of each of its marks."""
    rows = load_board(RESULTS).rows
    plain = [row for row in rows if row.model == "reference"]
    photographs = [row for row in plain if _photographed(row)]
    drawn = [row for row in plain if not _photographed(row)]
    paper = [row for row in drawn if row.method in STUDY and at_reference(row)]
    scratch = [row for row in drawn if row.protocol == "scratch"]
    yield (
        "README.md",
        {
            "photographs": markdown(columns(headline(photographs, IN_PLACES), WITHOUT_PRETRAINING)),
            "headline": markdown(columns(headline(paper), WITHOUT_BALANCED)),
        },
    )
    yield (
        "docs/results.md",
        {
            "photographs": markdown(study(photographs)),
            "study": markdown(study(paper)),
            "attributes": markdown(attributes(plain)),
        },
    )
    yield (
        "docs/ways.md",
        {"ways": markdown(ways(scratch)), "ablation": markdown(ablation(scratch))},
    )


def columns(table: Table, which: Sequence[int]) -> Table:
    """Some columns of a table."""
    heads, rows = table
    return [heads[at] for at in which], [[row[at] for at in which] for row in rows]


def _photographed(row: ScoreRow) -> bool:
    return get_task(row.task).channels == PHOTOGRAPH


def protocols() -> Iterable[tuple[str, dict[str, str]]]:
    """How long each task trains, for what, and with how many sequences; families once."""
    heads = [
        "task",
        "version",
        "protocol (the first is the default)",
        "iterations",
        "of pre-training before",
        "target, %",
        "sequences that train, at most",
        "sequences that a build makes",
    ]
    found: list[list[str]] = []
    for family, members in groupby(map(get_task, TASKS.names()), key=lambda task: task.family):
        same = list(members)
        task = same[0]
        large = len(same) >= LEAST
        for plan in task.protocols:
            targets = {each.protocol(plan.name).target_accuracy for each in same}
            rows = [(f"{family}-..." if large else task.name, task, targets)]
            if not large:
                rows = [(t.name, t, {t.protocol(plan.name).target_accuracy}) for t in same]
            for name, each, goals in rows:
                ends = sorted({target(goal) for goal in goals}, key=float)
                training = each.protocol(plan.name).training or each.training
                before = plan.pretraining.iterations if plan.pretraining else 0
                found.append(
                    [
                        f"`{name}`",
                        str(each.version),
                        f"`{plan.name}`",
                        f"{plan.iterations:,}",
                        f"{before:,}" if before else NONE,
                        ends[0] if len(ends) == 1 else f"{ends[0]} to {ends[-1]}",
                        f"{training.supervised:,}",
                        f"{each.annotation.images:,}",
                    ]
                )
    yield "docs/tasks.md", {"protocols": markdown((heads, found))}


def shipped() -> Iterable[tuple[str, dict[str, str]]]:
    """What a posterior knows along the sequences that come with the package."""
    record = read_provenance(SHIPPED / "cluttered-digits")
    quality = record["quality"]
    steps = len(quality["built"]["stated"])
    heads = ["sequences", *(f"t = {t}" for t in range(1, steps + 1))]
    found = [
        [f"{name}, {what}", *(f"{value:.3f}" for value in quality[name][key])]
        for name, key, what in (
            ("built", "accuracy", "accuracy"),
            ("built", "cross_entropy", "true cross-entropy, nats"),
            ("built", "searched", "EPE as searched, nats"),
            ("built", "stated", "stated, nats"),
            ("random", "accuracy", "accuracy"),
            ("random", "cross_entropy", "true cross-entropy, nats"),
        )
    ]
    yield "docs/sequences.md", {"shipped": markdown((heads, found))}


def coverage() -> Iterable[tuple[str, dict[str, str]]]:
    """Both tables of the simulation."""
    command = [sys.executable, str(ROOT / "benchmarks" / "coverage.py")]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    yield "docs/coverage.md", {"coverage": printed.rpartition("\n{")[0].strip()}


def _write(name: str, parts: dict[str, str], check: bool) -> bool:
    """Put the texts between the marks of a file; whether it has changed."""
    path = ROOT / name
    before = text = path.read_text(encoding="utf-8")
    for mark, part in parts.items():
        pattern = rf"(<!-- {mark} -->\n).*?(<!-- end {mark} -->)"
        text, count = re.subn(pattern, lambda m: f"{m[1]}\n{part}\n\n{m[2]}", text, flags=re.S)  # noqa: B023
        if count != 1:
            sys.exit(f"{name} must have the mark <!-- {mark} --> once, it has it {count} times")
    if text != before and not check:
        path.write_text(text, encoding="utf-8")
    return text != before


WRITERS: dict[str, Callable[[], Iterable[tuple[str, dict[str, str]]]]] = {
    "tables": tables,
    "coverage": coverage,
    "protocols": protocols,
    "shipped": shipped,
}


if __name__ == "__main__":
    main()
