"""Looks of every offline task, of a model of one's own; and spoiled weights by the hundred."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from corner_task import CORNER
from nogs_bench import get_task, load_network, look
from nogs_bench.errors import NogsError
from nogs_bench.evaluation.command import evaluate
from nogs_bench.tasks.families.fashion_mnist import DEBIAN_FOLDER
from places import ROOT

FASHION = pytest.mark.skipif(not DEBIAN_FOLDER.is_dir(), reason="no Fashion-MNIST here")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("cluttered-digits", "reference"),
        ("cluttered-digits", f"{ROOT}/examples/custom_model.py:MyNet"),
        pytest.param("fashion-mnist", "reference", marks=FASHION),
        pytest.param("cluttered-fashion", "reference", marks=FASHION),
    ],
)
def test_every_offline_task_can_be_looked_at(tmp_path: Path, name: str, model: str) -> None:
    settings = {"methods": "ram", "protocol": "scratch", "seeds": 1, "iterations": 2}
    evaluate(model, task=name, out=tmp_path, device="cpu", workers=1, **settings)
    (result,) = tmp_path.glob("*.json")
    network = load_network(result, model=None if model == "reference" else model)
    assert look(network, tmp_path / "a.png", index=3).stat().st_size > 5_000
    page = look(network, tmp_path / "a.html").read_text()
    assert page.count('class="pick"') == 24
    assert all(label in page for label in get_task(name).classes[:2])


def test_spoiled_weights_are_one_line(tmp_path: Path) -> None:
    settings = {"methods": "ram", "protocol": "scratch", "seeds": 1, "iterations": 2}
    evaluate(task=CORNER, out=tmp_path, device="cpu", workers=1, **settings)
    (weights,) = tmp_path.glob("*.safetensors")
    content, rng = weights.read_bytes(), random.Random(0)
    spoiled = tmp_path / "spoiled.safetensors"
    for _ in range(300):
        bad = bytearray(content)
        for _ in range(rng.randint(1, 8)):
            at = rng.randrange(len(bad))
            bad[at : at + rng.randint(0, 3)] = rng.randbytes(rng.randint(0, 3))
        spoiled.write_bytes(bytes(bad[: rng.choice([len(bad), rng.randrange(len(bad))])]))
        if spoiled.read_bytes() == content:
            continue
        with pytest.raises(NogsError) as caught:
            load_network(spoiled, task=CORNER)
        assert "\n" not in str(caught.value)
