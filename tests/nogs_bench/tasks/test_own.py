"""Tasks of a user's own images: which numbers are chosen, and that they stay the same."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from drawings import COLOURS, write_drawings
from nogs_bench.cli import app
from nogs_bench.errors import NogsError
from nogs_bench.evaluation import evaluate
from nogs_bench.images import Label
from nogs_bench.tasks import (
    choices_of,
    get_task,
    is_source,
    source_specs,
    task_file,
    task_of,
    with_choices,
)
from nogs_bench.tasks.own.facts import Facts
from nogs_bench.tasks.own.rules import RULES, choose


def facts(counts: tuple[int, ...], side: int, grey: bool = False, **given: int) -> Facts:
    names = tuple(f"c{number}" for number in range(len(counts)))
    return Facts("some", (Label("class", names),), counts, given, side, grey)


SIZES = ("image_size", "channels", "glimpse", "stride")


def test_numbers_by_hand() -> None:
    """28 x 28 grey, as Fashion-MNIST: its own glimpses and steps; and photographs."""
    small = choose(facts((7_000,) * 10, 28, grey=True, train=60_000, test=10_000))
    assert [small[name] for name in SIZES] == [
        28,
        1,
        4,
        2,
    ]
    assert small.cells == 13 * 13
    assert small["network"] == "local:24k2s2-48k3s2p1-256"
    # 60,000 - 2,000 for validation - 1,000 for the AVP's own.
    assert small["annotated"] == 600
    assert small["bank_images"] == 2_000
    assert small["judged_by"] == "accuracy"
    assert small["target"] == 0.55
    large = choose(facts((3_000, 1_000), 500))
    assert [large[name] for name in SIZES] == [
        96,
        3,
        16,
        8,
    ]
    assert large["network"].startswith("patch-sum")
    assert large["mirrored"]
    # 4,000 - 400 - 800 - 400, a sixth of which is 400.
    assert large["annotated"] == large["bank_images"] == 400
    # Three quarters are of one class: a constant answer is right on 75 %.
    assert choose(facts((3_001, 999), 500))["judged_by"] == "balanced_accuracy"
    assert choose(facts((3_001, 999), 500))["target"] == 0.75


def test_few_images_share_what_glimpses_look_like() -> None:
    # 600 - 60 - 120 - 60 train, of which 60 are annotated, 60 the bank, and 240 left.
    few = choose(facts((200, 200, 200), 40))
    assert [few[name] for name in ("annotated", "bank_images", "network")] == [
        *(60, 60, "patch-sum:128x2")
    ]
    assert [few[name] for name in SIZES] == [40, 3, 8, 4]
    assert few["avp_batch"] == 32
    # 60 - 6 - 12 - 6 train, of which 6 are annotated, 6 the bank, and 24 left: half is 12.
    assert choose(facts((20, 20, 20), 40))["avp_batch"] == 8


def test_more_minutes_train_longer_and_ask_more() -> None:
    short, long = (choose(facts((2_000, 2_000), 200), minutes=m) for m in (2, 60))
    assert short["epochs"] < long["epochs"]
    assert short["samples"] < long["samples"]
    geometry = ("image_size", "glimpse", "stride", "glimpses", "annotated", "iterations", "target")
    assert [short[name] for name in geometry] == [long[name] for name in geometry]


def test_labels_share_the_minutes_of_the_search() -> None:
    labels = tuple(Label(f"l{number}", ("no", "yes")) for number in range(10))
    many = replace(facts((2_000, 2_000), 200), labels=labels)
    one, all_ten = (choose(many, minutes=20, labels=count) for count in (1, 10))
    assert one["epochs"] == all_ten["epochs"]
    assert one["samples"] == 500
    # They share 2,000 sequences.
    assert (one["annotated"], all_ten["annotated"]) == (400, 200)
    # 18 minutes less 100 epochs of 1,800 images at 850 a second are 868 s; two cores do 13,000
    # evaluations a second each: 23 for each cell of 10 x 200 x 4 races, and each tries 26.
    assert all_ten["samples"] == 50
    # In two hours each label has all 400 images, and there are 84 for each cell: 500 need 76.
    assert choose(many, minutes=120, labels=10)["samples"] == 500
    assert "shared among 10 labels" in all_ten.choices["samples"].why
    with pytest.raises(NogsError, match="labels=11: give 1 to 10, as some has"):
        choose(many, labels=11)


def test_what_is_set_by_hand_stays_and_what_depends_on_it_follows() -> None:
    chosen = choose(facts((500, 500), 200), given={"image_size": 48, "glimpse": 8})
    assert [chosen[name] for name in ("image_size", "glimpse", "stride")] == [48, 8, 4]
    assert chosen.choices["glimpse"].why == "as you set it"
    with pytest.raises(NogsError, match="no choice is called glimps; there are image_size"):
        choose(facts((500, 500), 200), given={"glimps": 8})


BY_HAND: dict[str, tuple[str, dict[str, Any]]] = {
    "stride must be at least 1, not 0": ("stride=0", {"stride": 0}),
    "stride must be an integer, not 1.5": ("stride=1.5", {"stride": 1.5}),
    "image_size must be an integer, not 'abc'": ("image_size=abc", {"image_size": "abc"}),
    "image_size must be an integer, not True": ("image_size=true", {"image_size": True}),
    "glimpse must be an integer, not [8]": ("glimpse=[8]", {"glimpse": [8]}),
    "network must be a text, not 5": ("network=5", {"network": 5}),
    "mirrored must be True or False, not 1": ("mirrored=1", {"mirrored": 1}),
    "test must be in 0 .. 1, not 1.5": ("test=1.5", {"test": 1.5}),
    "learning_rate must be a number, not nan": ("learning_rate=NaN", {"learning_rate": np.nan}),
    "minutes must be a number, not 'abc'": ("minutes=abc", {"minutes": "abc"}),
    "minutes must be in 0.5 .. 100000, not 0.4": ("minutes=0.4", {"minutes": 0.4}),
    "labels must be an integer, not 'two'": ("labels=two", {"labels": "two"}),
    "labels must be at least 1, not 0": ("labels=0", {"labels": 0}),
    "label must be a text, not 5": ("label=5", {"label": 5}),
    "about must be a text, not 5": ("about=5", {"about": 5}),
    "no choice is called strid; there are image_size": ("strid=2", {"strid": 2}),
    "a glimpse of 40 pixels does not fit an image of 36": ("glimpse=40", {"glimpse": 40}),
}


def test_every_value_set_by_hand_is_checked(tmp_path: Path) -> None:
    photos = write_drawings(tmp_path / "photos", each=20)
    for fault, (query, given) in BY_HAND.items():
        with pytest.raises(NogsError, match=re.escape(fault)):
            get_task(f"{photos}?{query}")
        with pytest.raises(NogsError, match=re.escape(fault)):
            choices_of(photos, **given)
    for query, fault in {
        "stride": "write NAME=VALUE after the [?]",
        "stride=": "stride must be an integer, not ''",
        "stride=2&stride=4": "something is set twice",
    }.items():
        with pytest.raises(NogsError, match=fault):
            get_task(f"{photos}?{query}")
    _, chosen = choices_of(photos, network="patch-sum:0x2")  # what a build refuses
    assert chosen["network"] == "patch-sum:0x2"


def test_numbers_of_numpy_and_texts_that_look_like_numbers(tmp_path: Path) -> None:
    photos = write_drawings(tmp_path / "photos", each=20)
    [spec] = source_specs(photos, image_size=np.int64(32), learning_rate=np.float32(0.5))
    assert get_task(spec) == task_of(photos, image_size=32, learning_rate=0.5)
    [spec] = source_specs("hf:some/name", label="5", about="null")
    assert spec == "hf:some/name?about=%22null%22&label=%225%22"
    assert source_specs(spec) == [spec]


def test_a_folder_gives_the_same_task_and_the_same_in_a_file(tmp_path: Path) -> None:
    photos = write_drawings(tmp_path / "photos", each=20)
    assert is_source(str(photos))
    assert not is_source("fashion-mnist")
    task = task_of(photos, minutes=3)
    assert task == task_of(photos, minutes=3)
    assert task.name == task.family == "photos"
    assert task.labels == (Label("class", tuple(COLOURS)),)
    assert task.image_size == 36
    assert task.glimpse_size == 8
    assert vars(task.splits) == {"train": 36, "validation": 6, "test": 12, "avp_validation": 6}
    (tmp_path / "mine.py").write_text(task_file(photos, minutes=3), encoding="utf-8")
    assert get_task(f"{tmp_path / 'mine.py'}:task") == task
    [spec] = source_specs(photos, minutes=3)
    assert get_task(spec) == task
    assert repr(task.chosen) == repr(task_of(photos, minutes=3.0).chosen)
    assert task != task_of(photos, minutes=3, glimpses=4)
    assert task_of(photos, minutes=3, glimpses=4).T == 4
    with pytest.raises(NogsError, match="leave --label out"):
        task_of(photos, label="species")
    with pytest.raises(NogsError, match="is not a place of images; give hf:OWNER/NAME"):
        task_of(tmp_path / "absent")


def test_two_settings_of_one_folder_in_one_process(tmp_path: Path) -> None:
    photos = write_drawings(tmp_path / "photos", each=20)
    specs = [f"{photos}?glimpses={count}" for count in (3, 4)]
    assert [get_task(spec).T for spec in specs] == [3, 4]
    assert get_task("photos").T == 4
    with pytest.raises(NogsError, match="two of the tasks are called photos; evaluate them apart"):
        evaluate(tasks=specs, methods="ram", iterations=1, out=tmp_path / "results")
    mine = tmp_path / "mine.py"
    mine.write_text(task_file(photos, glimpses=5), encoding="utf-8")
    assert get_task(f"{mine}:task").T == 5


def test_a_folder_that_is_not_there_is_not_said_to_have_numbers() -> None:
    for place in ("photo/", "./photo", "nosuch"):
        with pytest.raises(NogsError, match=r"photo|nosuch") as caught:
            with_choices(place, {"minutes": 1})
        assert "has its own" not in str(caught.value)
    with pytest.raises(NogsError, match="celeba-hq-male has its own"):
        with_choices("celeba-hq-male", {"minutes": 1})


def test_a_folder_called_like_a_task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photos = write_drawings(tmp_path / "cub-100", each=20)
    assert get_task(str(photos)).name == "cub-100-images"
    assert get_task(str(write_drawings(tmp_path / "utkface", each=20))).family == "utkface-images"
    monkeypatch.chdir(tmp_path)
    assert not is_source("cub-100")
    assert is_source("./cub-100")
    assert get_task("cub-100").name == "cub-100"


def test_looking_decodes_no_more_than_a_few(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos = write_drawings(tmp_path / "photos", each=50, grey=True)
    opened = []
    real = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda self: opened.append(self) or real(self))
    _, chosen = choices_of(photos)
    assert chosen["channels"] == 1
    assert len(opened) <= 40


def test_the_task_command_does_all_that_it_is_asked(tmp_path: Path) -> None:
    (tmp_path / "w\\Users").mkdir()  # as on Windows
    folder = write_drawings(tmp_path / "w\\Users" / "photos", each=20)
    file = tmp_path / "mine.py"

    def run(*given: str) -> Any:
        return CliRunner().invoke(app, ["task", str(folder), *given])

    for given, message in [
        (("--check", "--out", str(file)), "--check writes no file"),
        (("--data", str(tmp_path)), "is where --check finds a task's images; leave it out"),
    ]:
        done = run(*given)
        assert done.exit_code == 1
        assert message in done.output
    done = run("--json", "--out", str(file))
    assert {each["name"] for each in json.loads(done.stdout)} == set(RULES)
    assert get_task(f"{file}:task").T == task_of(folder).T


def test_every_choice_is_in_the_documentation() -> None:
    page = Path(__file__).parents[3] / "docs" / "image-tasks.md"
    rows = [f"| `{each.name}` | {each.depends} | {each.span} |" for each in RULES.values()]
    text = page.read_text(encoding="utf-8")
    assert [row for row in rows if row not in text] == []
