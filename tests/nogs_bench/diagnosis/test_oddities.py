"""What `task --check` finds odd, each in a task that is made so."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from drawings import write_drawings
from nogs_bench.cli import app
from nogs_bench.diagnosis import check_task
from nogs_bench.tasks import GlimpseGrid, Task, get_task, task_of


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return write_drawings(tmp_path / "photos", each=40)


def test_nothing_is_odd_about_a_chosen_task(photos: Path) -> None:
    assert check_task(task_of(photos)) == []


def test_a_task_whose_bank_is_drawn_afresh_needs_no_training_images() -> None:
    assert not any("left for the AVP" in line for line in check_task(get_task("cluttered-digits")))


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("embedder='cnov'", "unknown embedder 'cnov': did you mean 'conv'"),
        ("glimpses='uniformly'", "unknown glimpse distribution 'uniformly'"),
        ("search='halvin'", "unknown search 'halvin': did you mean 'halving'"),
        ("completion='retreival'", "unknown completion 'retreival'"),
        ("criterion='entropie'", "unknown criterion 'entropie'"),
        ("network='cnov'", "unknown AVP network 'cnov'"),
        ("teacher='cnov'", "unknown AVP network 'cnov'"),
    ],
)
def test_names_that_nothing_has_are_refused(tmp_path: Path, setting: str, message: str) -> None:
    field = setting.partition("=")[0]
    part = {
        "embedder": "training=replace(T.training, {})",
        "glimpses": "protocols=(replace(P, pretraining=replace(P.pretraining, {})),)",
        "network": "avp=replace(T.avp, {})",
        "teacher": "avp=replace(T.avp, {})",
    }.get(field, "annotation=replace(T.annotation, {})")
    file = tmp_path / f"odd_{field}.py"
    file.write_text(
        "from dataclasses import replace\nfrom nogs_bench import get_task\n"
        "T = get_task('cluttered-digits')\nP = T.protocol('pretrained')\n"
        f"TASK = replace(T, name='odd-{field}', {part.format(setting)})\n"
    )
    done = CliRunner().invoke(app, ["task", f"{file}:TASK", "--check"])
    assert done.exit_code == 1
    assert message in done.stderr


def test_copies_between_given_splits(tmp_path: Path, photos: Path) -> None:
    shutil.copytree(photos, tmp_path / "both" / "train")
    shutil.copytree(photos / "owl", tmp_path / "both" / "test" / "owl")
    for name in ("heron", "kingfisher"):
        (tmp_path / "both" / "test" / name).mkdir()
        shutil.copy(photos / name / "0000.png", tmp_path / "both" / "test" / name)
    lines = check_task(task_of(tmp_path / "both"))
    assert any("images of test are training images too" in line for line in lines)


def test_rare_classes_and_a_poor_judge(tmp_path: Path) -> None:
    folder = write_drawings(tmp_path / "rare", {"heron": 90, "kingfisher": 12, "owl": 20})
    task = task_of(folder)
    assert task.judged_by == "balanced_accuracy"
    assert any("fewer than 10 training images of kingfisher" in x for x in check_task(task))
    plan = replace(task.protocols[0], target_accuracy=0.7)
    lines = check_task(replace(task, judged_by="accuracy", protocols=(plan,)))
    assert any("of the training images are heron: accuracy is a poor judge" in x for x in lines)
    assert any("is what a constant answer reaches" in x for x in lines)


def test_glimpses_that_see_too_much_or_leave_an_edge(photos: Path) -> None:
    def odd(glimpse: int, stride: int) -> list[str]:
        task: Task = task_of(photos)
        return check_task(replace(task, grid=GlimpseGrid.even(36, glimpse, stride)))

    assert any("see up to 87% of the image" in line for line in odd(glimpse=15, stride=7))
    assert any("leaves 10 pixels" in line for line in odd(glimpse=6, stride=20))
