"""A run's network, kept and loaded: its recorded accuracy, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from corner_task import CORNER, write_sequences
from nogs_bench import load_network, look_at
from nogs_bench.errors import NogsError
from nogs_bench.evaluation.command import evaluate
from nogs_bench.files import load_checkpoint, save_checkpoint
from nogs_bench.tasks import TASKS

MINE = """
from nogs_bench import HardAttentionNet

class Mine(HardAttentionNet):
    pass
"""


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("kept")
    sequences = write_sequences(folder / "sequences")
    settings = {"task": CORNER, "sequences": sequences, "seeds": 2, "device": "cpu"}
    evaluate(out=folder / "results", protocol="scratch", workers=1, **settings)
    return folder / "results"


def accuracy(network, split="test"):
    """Of single rollouts, one after another, as the test of a run is done."""
    rows = CORNER.source.load(split)
    rollouts = network.task.training.rollouts
    right = [
        look_at(network, rows.images, seed=m).answers == rows.labels[:, 0] for m in range(rollouts)
    ]
    return float(np.mean([each.mean() for each in right]))


def test_every_run_gives_its_recorded_accuracy_again(results: Path) -> None:
    for file in sorted(results.glob("*.json")):
        recorded = json.loads(file.read_text())
        network = load_network(file, task=CORNER)
        assert accuracy(network) == recorded["test"]["accuracy"]
        assert not any(parameter.requires_grad for parameter in network.model.parameters())
        again = load_network(file.with_suffix(".safetensors"), task=CORNER)
        for name, value in network.model.state_dict().items():
            torch.testing.assert_close(again.model.state_dict()[name], value, rtol=0, atol=0)


def test_the_best_weights_are_those_of_the_least_validation_cross_entropy(tmp_path: Path) -> None:
    """A rate that is far too high: runs get worse. Told where the end is worse by .1 nats."""
    training = replace(CORNER.training, learning_rate=0.5)
    wild = replace(CORNER, name="wild-corner", training=training)
    settings = {"methods": "ram", "protocol": "scratch", "seeds": 3, "device": "cpu"}
    evaluate(task=wild, out=tmp_path / "r", **settings)
    validation, told = CORNER.source.load("validation"), 0
    for file in (tmp_path / "r").glob("*.json"):
        curve = json.loads(file.read_text())["curve"]
        least = min(point["cross_entropy"] for point in curve)
        if curve[-1]["cross_entropy"] <= least + 0.1:
            continue
        found = {}
        for weights in ("best", "last"):
            network = load_network(file, task=wild, weights=weights)
            looks = [look_at(network, validation.images, seed=m) for m in range(20)]
            right = [
                look.beliefs[np.arange(64), -1, validation.labels[:, 0]].clip(1e-30)
                for look in looks
            ]
            found[weights] = float(-np.log(right).mean())
        assert found["best"] < found["last"]
        told += 1
    assert told


def test_no_weights_leaves_none(tmp_path: Path) -> None:
    settings = {"task": CORNER, "methods": "ram", "seeds": 1, "device": "cpu", "iterations": 2}
    evaluate(out=tmp_path, weights=False, **settings)
    (result,) = tmp_path.glob("*.json")
    assert not list(tmp_path.glob("*.safetensors"))
    with pytest.raises(NogsError, match="train the run again, without --no-weights"):
        load_network(result, task=CORNER)


def test_a_model_of_ones_own_is_named_and_its_source_compared(tmp_path: Path) -> None:
    source = tmp_path / "mine.py"
    source.write_text(MINE)
    settings = {"task": CORNER, "methods": "ram", "seeds": 1, "device": "cpu", "iterations": 2}
    evaluate(f"{source}:Mine", out=tmp_path / "r", **settings)
    (result,) = (tmp_path / "r").glob("*.json")
    with pytest.raises(NogsError, match=r"model='FILE.py:NAME'"):
        load_network(result, task=CORNER)
    assert load_network(result, task=CORNER, model=f"{source}:Mine").config.model.name == "Mine"
    source.write_text(MINE + "\n\n# changed\n")
    with pytest.raises(NogsError, match="another source"):
        load_network(result, task=CORNER, model=f"{source}:Mine")
    load_network(result, task=CORNER, model=f"{source}:Mine", any_source=True)


def test_what_does_not_fit_is_one_line(
    results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(TASKS._entries, "corner", raising=False)  # as in another process
    (file, *_) = sorted(results.glob("*.safetensors"))
    with pytest.raises(NogsError, match="corner, which is not registered: name it"):
        load_network(file)
    other = replace(CORNER, T=3)
    with pytest.raises(NogsError, match="T = 2, and corner has 3"):
        load_network(file, task=other)
    with pytest.raises(NogsError, match="give one of last, best"):
        load_network(file, task=CORNER, weights="first")
    with pytest.raises(NogsError, match="no network nowhere"):
        load_network("nowhere")
    content = file.read_bytes()
    for at in (0, 9, 100, len(content) // 2, len(content) - 1):
        spoiled = tmp_path / "spoiled.safetensors"
        spoiled.write_bytes(content[:at] + bytes([content[at] ^ 255]) + content[at + 1 :])
        with pytest.raises(NogsError):
            load_network(spoiled, task=CORNER)
    state = load_checkpoint(file)
    for change in ({"format": 9}, {"last": 3}, {"config": {}}, {"shape": {"T": 3}}):
        save_checkpoint(tmp_path / "other.safetensors", state | change)
        with pytest.raises(NogsError):
            load_network(tmp_path / "other.safetensors", task=CORNER)


def test_confidence_ends_looking_early(results: Path) -> None:
    network = load_network(sorted(results.glob("*ps-nogs*.json"))[0], task=CORNER)
    images = CORNER.source.load("test").images
    # As sure as it is of half of the images after the first glimpse.
    enough = float(np.median(look_at(network, images).beliefs[:, 0].max(-1)))
    looks = look_at(network, images, confident=enough, maps=True)
    sure = looks.beliefs.max(-1) >= enough
    assert 0 < (looks.used < CORNER.T).sum() < len(images)
    for image, used in enumerate(looks.used):
        assert not sure[image, : used - 1].any()
        assert sure[image, used - 1] or used == CORNER.T
    np.testing.assert_allclose(looks.policy.sum(-1), 1, rtol=1e-5)
    greedy = look_at(network, torch.from_numpy(images), greedy=True, maps=True)
    np.testing.assert_array_equal(greedy.cells, greedy.policy.argmax(-1))
    with pytest.raises(NogsError, match="uint8"):
        look_at(network, images[:, :, 1:])
