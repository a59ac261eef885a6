"""What a stage's file is named by: all that it depends on, so that no other build takes it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from nogs_bench.builders.bank import assign_roles
from nogs_bench.builders.compare import avp as compared
from nogs_bench.builders.pipeline import BuildPlan, Stages, prepare
from nogs_bench.builders.pipeline.chosen import cheaply
from nogs_bench.builders.pipeline.posteriors import TrainedAvp
from nogs_bench.builders.posterior import AVP_NETWORKS
from nogs_bench.builders.search import SEARCHES
from nogs_bench.device import choose_device, device_kind
from nogs_bench.executors import LocalExecutor
from nogs_bench.images import LabelledImages
from nogs_bench.own_code import load_object
from nogs_bench.tasks import Task
from tiny import Corner, corner_images, corner_task


def prepared(task: Task, out: Path, posterior: str = "avp", device: str = "cpu") -> Stages:
    settings = {"annotation.images": 4}
    plan = BuildPlan(task, out, posterior=posterior, device=device, settings=settings)
    return prepare(plan, assign_roles(plan.task, 4, 0, None), LocalExecutor(1))


@dataclass(frozen=True)
class OtherValidation(Corner):
    """Whose AVP is chosen by other images, with other labels."""

    def load(self, split: str, data: Path | None = None) -> LabelledImages:
        if split != "avp_validation":
            return super().load(split, data)
        drawn = corner_images(77, 50)
        return LabelledImages(drawn.images, (drawn.labels + 1) % 4)


@pytest.mark.parametrize("posterior", ["bank", "avp"])
def test_other_validation_images_make_another_posterior(tmp_path, posterior):
    task = corner_task()
    ours = prepared(task, tmp_path, posterior)
    other = prepared(replace(task, source=OtherValidation()), tmp_path, posterior)
    alone = prepared(replace(task, source=OtherValidation()), tmp_path / "alone", posterior)
    made = [stages.files["posterior"].read_bytes() for stages in (ours, other, alone)]
    assert made[0] != made[1] == made[2]


def test_other_validation_images_make_another_compared_network(tmp_path):
    task = corner_task()
    measures = [
        compared.compare_avp(each, ["local:4k4s4-8"], 0.01, tmp_path, device="cpu")
        for each in (task, replace(task, source=OtherValidation()))
    ]
    assert len(list(tmp_path.glob("compared-avp-*.safetensors"))) == 2
    assert measures[0][0].cross_entropy != measures[1][0].cross_entropy


def test_another_device_searches_anew_though_no_network_was_trained_on_it(tmp_path, monkeypatch):
    one = prepared(corner_task(), tmp_path, "bank")
    monkeypatch.setattr(BuildPlan, "device_kind", "another")
    other = prepared(corner_task(), tmp_path, "bank")
    assert one.files["posterior"] == other.files["posterior"]
    for stage in ("first-step", "sequences"):
        assert one.files[stage] != other.files[stage]


def test_a_device_s_number_names_no_other_files(tmp_path):
    """cuda is cuda:0, and cuda:1 computes the same."""
    one, other = (prepared(corner_task(), tmp_path, "bank", name) for name in ("cpu", "cpu:0"))
    assert one.files == other.files
    assert [device_kind(name) for name in ("cuda", "cuda:0", "cuda:1")] == ["cuda"] * 3
    assert choose_device("cpu:0") == "cpu"


def test_chosen_sequences_are_named_by_how_they_are_searched(tmp_path):
    """By 10 or 20 completions, where the build's own search has no more."""
    task = corner_task()
    avp = replace(task.avp, network="local:4k4s4-8", rounds=1, chosen_images=3)
    annotation = replace(task.annotation, samples=10)
    few, some = (
        prepared(replace(task, avp=avp, annotation=replace(annotation, samples=n)), tmp_path)
        for n in (10, 20)
    )
    assert few.files["round-0"] == some.files["round-0"]
    assert few.files["chosen-1"] != some.files["chosen-1"]
    recorded = few.records["chosen-1"]["config"]["annotation"]
    assert (recorded["search"], recorded["samples"], recorded["first_samples"]) == (
        "halving", 10, 100,
    )  # fmt: skip
    # Of many, a few hundred at most: other builds of many may share them.
    many = [cheaply(replace(annotation, samples=n)) for n in (1000, 2000)]
    assert many[0] == many[1]


SEARCH = """
from nogs_bench.builders.search import SEARCHES


def own(problem):
    return SEARCHES["{}"](problem)
"""
NETWORK = """
from torch import nn


def own(channels, size, outputs, argument):
    return nn.Sequential(nn.Flatten(), nn.Linear((channels + 1) * size**2, outputs + {}))
"""


@pytest.mark.parametrize(
    ("registry", "code", "values", "setting", "stages"),
    [
        (SEARCHES, SEARCH, ("racing", "halving"), "annotation.search", ("first-step", "sequences")),
        (AVP_NETWORKS, NETWORK, ("0", "0 * 1"), "avp.network", ("posterior", "sequences")),
    ],
)
def test_code_of_ones_own_is_in_the_names(
    tmp_path, monkeypatch, registry, code, values, setting, stages
):
    room, field = setting.split(".")
    base = corner_task()
    task = replace(base, **{room: replace(getattr(base, room), **{field: "own"})})
    files = []
    for number, value in enumerate(values):
        path = tmp_path / f"own{number}.py"
        path.write_text(code.format(value))
        monkeypatch.setitem(registry._entries, "own", load_object(f"{path}:own", "code"))
        files.append(prepared(task, tmp_path / "out").files)
    for stage in stages:
        assert files[0][stage] != files[1][stage]
    assert files[0]["bank"] == files[1]["bank"]
    ours = prepared(base, tmp_path / "out").records
    assert not any("code" in record["config"] for record in ours.values())


def test_weights_of_a_file_are_known_by_what_they_are(tmp_path):
    file, moved = tmp_path / "w.safetensors", tmp_path / "elsewhere" / "v.safetensors"
    moved.parent.mkdir()
    task = corner_task()

    def config(path: Path, **roles: str) -> object:
        named = {name: f"timm:resnet18@{path}" for name in roles}
        avp = replace(task.avp, **named)
        return TrainedAvp().config(replace(task, avp=avp), 1, "cpu")

    for role in ("network", "teacher"):
        file.write_bytes(b"one")
        moved.write_bytes(b"one")
        first = config(file, **{role: ""})
        assert config(moved, **{role: ""}) == first
        file.write_bytes(b"two")
        assert config(file, **{role: ""}) != first
        assert str(tmp_path) not in str(first)
    pretrained = replace(task, avp=replace(task.avp, network="timm:resnet18@pretrained"))
    assert TrainedAvp().config(pretrained, 1, "cpu")["avp"]["network"].endswith("@pretrained")
