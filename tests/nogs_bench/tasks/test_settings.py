"""Settings that a caller replaces: their types, their names, and where they go."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from typer.main import get_command

from nogs_bench.cli import app
from nogs_bench.errors import NogsError
from nogs_bench.methods import losses
from nogs_bench.results.scoring.criteria import CRITERIA
from nogs_bench.tasks.build_settings import AvpTraining
from nogs_bench.tasks.settings import (
    SETTABLE,
    merged_settings,
    read_settings,
    settings_of,
    with_settings,
)
from nogs_bench.tasks.training_settings import CONVERGED_BY, REDUCTIONS, Convergence, Training
from tiny import corner_task


def test_text_becomes_what_the_field_holds() -> None:
    texts = [
        "annotation.samples=500",
        "annotation.sigma=0.5, 0.25",
        "annotation.shifts=",
        "annotation.mirrored=true",
        "annotation.search=coarse",
        "avp.learning_rate=1e-3",
        "avp.network=timm:resnet18",
    ]
    assert read_settings("build", texts) == {
        "annotation.samples": 500,
        "annotation.sigma": (0.5, 0.25),
        "annotation.shifts": (),
        "annotation.mirrored": True,
        "annotation.search": "coarse",
        "avp.learning_rate": 0.001,
        "avp.network": "timm:resnet18",
    }
    assert read_settings("evaluate", ["protocol.pretraining.iterations=7"]) == {
        "protocol.pretraining.iterations": 7
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("annotation.samples", "write FIELD=VALUE"),
        ("annotation.samples=many", "annotation.samples must be an integer, not 'many'"),
        ("annotation.samples=1.5", "annotation.samples must be an integer"),
        ("annotation.shifts=0,x", "annotation.shifts must be integers"),
        ("annotation.together=perhaps", "annotation.together must be true or false"),
        ("annotation.sample=1", "annotation has no such setting; it has images, bank_images, cr"),
        ("training.rollouts=3", "build cannot set training.rollouts; it sets annotation.*, avp.*"),
        ("T=3", "build cannot set T"),
    ],
)
def test_what_cannot_be_set_is_said(text: str, message: str) -> None:
    with pytest.raises(NogsError) as error:
        read_settings("build", [text])
    assert message in str(error.value)


def test_a_setting_is_given_once() -> None:
    with pytest.raises(NogsError, match=r"annotation.samples is given twice"):
        read_settings("build", ["annotation.samples=5", "annotation.samples=6"])
    with pytest.raises(NogsError, match=r"samples and annotation.samples are the same setting"):
        merged_settings("build", {"annotation.samples": 5}, samples=6)


@pytest.mark.parametrize("value", ["5", 5.5, True, None])
def test_a_python_value_has_the_field_s_type(value: Any) -> None:
    settings = merged_settings("build", {"annotation.samples": value})
    with pytest.raises(NogsError, match=r"annotation: samples must be an integer"):
        with_settings(corner_task(), settings)


def test_settings_go_to_their_parts() -> None:
    task = corner_task()
    settings = merged_settings("build", {"avp.epochs": 9, "annotation.shifts": [0, 1]}, samples=3)
    changed = with_settings(task, settings)
    assert changed == replace(
        task,
        avp=replace(task.avp, epochs=9),
        annotation=replace(task.annotation, shifts=(0, 1), samples=3),
    )
    assert with_settings(task, merged_settings("build", None, samples=None)) == task

    settings = merged_settings("evaluate", {"protocol.pretraining.iterations": 8}, iterations=6)
    scratch, pretrained = with_settings(task, settings, "pretrained").protocols
    assert scratch == task.protocol("scratch")
    assert pretrained.iterations == 6
    assert pretrained.pretraining is not None
    assert pretrained.pretraining.iterations == 8
    with pytest.raises(NogsError, match="protocol scratch of corner has no pretraining"):
        with_settings(task, settings, "scratch")


def test_values_out_of_range_are_refused() -> None:
    for settings in (
        {"annotation.samples": 0},
        {"avp.epochs": 0},
        {"avp.learning_rate": -1.0},
        {"avp.learning_rate": float("nan")},
        {"avp.warmup": 1.5},
    ):
        with pytest.raises(NogsError, match=next(iter(settings)).partition(".")[2]):
            with_settings(corner_task(), settings)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: with_settings(corner_task(), {"annotation.observed": "past"}), "sample or pasted"),
        (lambda: Training(supervision_reduction="avg"), "mean or sum, not 'avg'"),
        (lambda: Training(embedder=3), "embedder must be a text"),  # type: ignore[arg-type]
        (lambda: Convergence("acuracy"), "criterion must be cross-entropy or accuracy"),
        (lambda: Convergence(accuracy_tolerance=-1), "accuracy_tolerance must be at least 0"),
        (lambda: corner_task(judged_by="f1"), "judged_by must be accuracy or balanced_accuracy"),
    ],
)
def test_names_that_nothing_has_are_refused_where_they_are_given(
    make: Callable[[], object], message: str
) -> None:
    with pytest.raises(NogsError, match=message):
        make()


def test_the_names_that_settings_may_have_are_those_that_are_used() -> None:
    assert set(REDUCTIONS) == set(losses.REDUCTIONS)
    assert set(CONVERGED_BY) == set(CRITERIA)


def test_short_forms_stand_for_settings() -> None:
    for command in SETTABLE.values():
        for name in command.short.values():
            part, _, field = name.rpartition(".")
            assert part in command.parts
            assert field in settings_of(part)


@pytest.mark.parametrize("name", ["build", "evaluate"])
def test_short_forms_are_options_of_the_command(name: str) -> None:
    options = {p.name for p in get_command(app).commands[name].params}  # type: ignore[attr-defined]
    assert options >= set(SETTABLE[name].short)


@pytest.mark.parametrize("spec", ["timm:resnet18@", "vgg16-12:", "frozen:timm:"])
def test_weights_that_are_not_named_are_not_random_ones_instead(spec: str) -> None:
    """`timm:NAME@$FILE`, with a variable that is empty, would train from random weights."""
    with pytest.raises(NogsError, match=f"embedder {spec!r} breaks off; write what follows the "):
        Training(embedder=spec)
    with pytest.raises(NogsError, match=f"AVP network {spec!r} breaks off; write what follows"):
        AvpTraining(spec, epochs=1)


def test_the_default_embedder_refuses_what_it_would_pass_over() -> None:
    with pytest.raises(NogsError, match="embedder conv takes nothing after its name, not 'wide'"):
        Training(embedder="conv:wide")
