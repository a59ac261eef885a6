"""What is drawn, written and judged of a trained network, against counts made by hand."""

from __future__ import annotations

import csv
import json
import os
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from typer.testing import CliRunner

from corner_task import CORNER, Inverted, write_sequences
from nogs_bench import load_network, look, look_at, predict, test_network, trained
from nogs_bench.cli import app
from nogs_bench.cli.network_tables import judgement_tables
from nogs_bench.errors import NogsError
from nogs_bench.evaluation.command import evaluate
from nogs_bench.trained import Judgement, Looks, TrainedNetwork
from nogs_bench.trained.cases import _shown, cases_of
from nogs_bench.trained.judging import _pooled, plot_judgement
from places import SUPPORT


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> TrainedNetwork:
    out = tmp_path_factory.mktemp("shown")
    evaluate(task=CORNER, methods="ram", seeds=1, out=out, device="cpu", protocol="scratch")
    (result,) = out.glob("*.json")
    return load_network(result, task=CORNER)


def test_figures_of_four_looks_made_by_hand() -> None:
    """Two glimpses, three classes; labels 0 0 1 2."""
    beliefs = np.array(
        [
            [[0.5, 0.3, 0.2], [0.9, 0.05, 0.05]],
            [[0.2, 0.6, 0.2], [0.35, 0.4, 0.25]],
            [[0.1, 0.8, 0.1], [0.1, 0.8, 0.1]],
            [[0.7, 0.2, 0.1], [0.6, 0.2, 0.2]],
        ],
        np.float32,
    )
    zeros = np.zeros((4, 2), np.int64)
    used = np.array([2, 2, 1, 2])
    looks = Looks(zeros, np.zeros((4, 2, 2), np.int64), beliefs, None, used)
    found = _pooled([looks], np.array([0, 0, 1, 2]), [100, 220])
    assert found.accuracy == 0.5
    assert found.after == (0.5, 0.5)
    assert found.per_class == (0.5, 1.0, 0.0)
    assert found.balanced_accuracy == 0.5
    assert found.confusion == ((1, 1, 0), (0, 1, 0), (1, 0, 0))
    assert found.cross_entropy == pytest.approx(-np.log([0.9, 0.35, 0.8, 0.2]).mean(), rel=1e-6)
    # Beliefs .9 right, .4 wrong, .8 right, .6 wrong, each in a bin of its own.
    assert found.calibration_error == pytest.approx((0.1 + 0.4 + 0.2 + 0.6) / 4, rel=1e-5)
    assert found.glimpses == 1.75
    assert found.multiply_adds == (3 * 220 + 100) / 4


def _caption(found: Judgement) -> str:
    return str(judgement_tables(found)[0].caption)


def test_the_test_is_the_recorded_one(network: TrainedNetwork, tmp_path: Path) -> None:
    recorded = json.loads(network.path.with_suffix(".json").read_text())["test"]
    found = test_network(network, confident=0.8)
    assert found.policies["single"].accuracy == recorded["accuracy"]
    assert found.policies["single"].cross_entropy == pytest.approx(recorded["cross_entropy"])
    assert found.policies["averaged"].accuracy == recorded["averaged_accuracy"]
    assert found.policies["greedy"].glimpses <= CORNER.T
    assert "multiply-adds an image and rollout, of the glimpses used" in _caption(found)
    whole = test_network(network)
    assert {each.multiply_adds for each in whole.policies.values()} == {whole.multiply_adds}
    assert "glimpses used" not in _caption(whole)
    plot_judgement(found, tmp_path / "t.svg")
    assert b"<svg" in (tmp_path / "t.svg").read_bytes()


def test_a_class_without_images_is_null_in_json(
    network: TrainedNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = test_network(network, rollouts=1)
    single = replace(found.policies["single"], per_class=(0.5, float("nan")))
    monkeypatch.setattr(trained, "load_network", lambda *_, **__: network)
    monkeypatch.setattr(
        trained, "test_network", lambda *_, **__: replace(found, policies={"single": single})
    )
    done = CliRunner().invoke(app, ["test", "RUN", "--json"])
    assert json.loads(done.stdout)["policies"]["single"]["per_class"] == [0.5, None]


def test_a_case_shows_the_pixels_that_were_seen(network: TrainedNetwork) -> None:
    images = CORNER.source.load("test").images[:3]
    looks = look_at(network, images)
    for image, case in zip(images, cases_of(network, images, looks, list("abc")), strict=True):
        shown = case.seen(1)
        row, col = case.glimpses[0]
        inside = np.zeros((12, 12), bool)
        inside[row : row + 4, col : col + 4] = True
        for channel in range(3):
            np.testing.assert_array_equal(shown[inside][:, channel], image[0][inside])
        faint = np.abs(shown[~inside][:, 0].astype(int) - (0.25 * image[0] + 166.5)[~inside])
        assert faint.max() <= 1
        assert np.isclose(case.beliefs.sum(-1), 1, atol=1e-5).all()


@pytest.mark.parametrize("name", ["look.png", "look.svg", "look.gif"])
def test_equal_looks_give_equal_files(network: TrainedNetwork, tmp_path: Path, name: str) -> None:
    first, second = (look(network, tmp_path / n / name, index=5) for n in ("a", "b"))
    assert first.read_bytes() == second.read_bytes()
    if name.endswith("gif"):
        with Image.open(first) as picture:
            assert picture.n_frames == CORNER.T + 1


def test_a_page_holds_each_image_and_asks_nobody(network: TrainedNetwork, tmp_path: Path) -> None:
    text = look(network, tmp_path / "page.html", index=range(10)).read_text()
    assert not re.search(r"(?:src|href)=\"(?!data:)", text)
    data = json.loads(re.search(r'id="data">(.*?)</script>', text, re.S)[1])
    labels = CORNER.source.load("test").labels[:10, 0]
    assert [case["label"] for case in data["cases"]] == labels.tolist()
    right = [case["answer"] == case["label"] for case in data["cases"]]
    assert text.count('class="pick"') == 10
    assert f"{sum(right)} of 10 are told right" in text


def test_names_cannot_become_markup(network: TrainedNetwork, tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    Image.new("L", (20, 20), 255).save(folder / "<script>alert(1)<!--.png")
    text = look(network, tmp_path / "page.html", folder).read_text()
    assert "<script>alert" not in text
    assert text.count("<!--") == 0


def test_near_optimal_sequences_stand_beside_the_networks_own(
    network: TrainedNetwork, tmp_path: Path
) -> None:
    sequences = write_sequences(tmp_path / "s")
    page = look(network, tmp_path / "p.html", split="train", index=[0, 1], sequences=sequences)
    data = json.loads(re.search(r'id="data">(.*?)</script>', page.read_text(), re.S)[1])
    assert all(case["optimal"] for case in data["cases"])
    look(network, tmp_path / "p.png", split="train", index=0, sequences=sequences)
    with pytest.raises(NogsError, match="--task-split train"):
        look(network, tmp_path / "p.png", sequences=sequences)


def test_predictions_are_the_looks(network: TrainedNetwork, tmp_path: Path) -> None:
    images = CORNER.source.load("test").images[:5]
    for number, image in enumerate(images):
        (tmp_path / "in" / f"{number % 2}").mkdir(parents=True, exist_ok=True)
        Image.fromarray(image[0]).save(tmp_path / "in" / f"{number % 2}" / f"{number}.png")
    order = [0, 2, 4, 1, 3]
    looks = look_at(network, images[order], greedy=True)
    predict(network, tmp_path / "in", tmp_path / "p.parquet", greedy=True)
    predict(network, tmp_path / "in", tmp_path / "p.csv", greedy=True)
    rows = pq.read_table(tmp_path / "p.parquet").to_pylist()
    assert [row["file"] for row in rows] == ["0/0.png", "0/2.png", "0/4.png", "1/1.png", "1/3.png"]
    for n, row in enumerate(rows):
        assert row["class"] == CORNER.classes[looks.answers[n]]
        assert (row["row_2"], row["col_2"]) == tuple(looks.glimpses[n, 1])
        assert row["p_white"] == pytest.approx(float(looks.beliefs[n, -1, 1]))
    with (tmp_path / "p.csv").open() as file:
        assert [row["class"] for row in csv.DictReader(file)] == [row["class"] for row in rows]
    with pytest.raises(NogsError, match=r"\.csv or \.parquet"):
        predict(network, tmp_path / "in", tmp_path / "p.txt")


def test_bad_wishes_are_one_line(network: TrainedNetwork, tmp_path: Path) -> None:
    with pytest.raises(NogsError, match=r"images 0\.\.39"):
        look(network, tmp_path / "a.png", index=40)
    with pytest.raises(NogsError, match=r"\.gif, \.html"):
        look(network, tmp_path / "a.jpg", index=4)
    with pytest.raises(NogsError, match=r"FILE\.html"):
        look(network, tmp_path / "a.png", index=[1, 2])
    with pytest.raises(NogsError, match="no picture"):
        look(network, tmp_path / "a.png", tmp_path / "absent.png")
    with pytest.raises(NogsError, match="leave the picture out"):
        look(network, tmp_path / "a.png", tmp_path / "absent.png", index=3)
    with pytest.raises(NogsError, match="no split 'nope'; its splits are train, validation"):
        look(network, tmp_path / "a.png", split="nope")
    with pytest.raises(NogsError, match="no split 'nope'"):
        test_network(network, "nope")
    with pytest.raises(NogsError, match="no result"):
        load_network(tmp_path / "absent.json")
    for wrong in (1.9, "3", [0, 1.5], [0, [1]]):
        with pytest.raises(NogsError, match="index must be a whole number, or several, not"):
            look(network, tmp_path / "a.html", index=wrong)
    with pytest.raises(NogsError, match="index is empty"):
        look(network, tmp_path / "a.html", index=[])
    with pytest.raises(NogsError, match=r"images must be uint8 .* got uint8 \(0, "):
        look_at(network, CORNER.source.load("test").images[:0])
    for wrong in (0, -1, 1.5):
        with pytest.raises(NogsError, match="rollouts must be"):
            test_network(network, rollouts=wrong)


def test_figures_of_other_images_are_said_to_be_so(
    network: TrainedNetwork, capsys: pytest.CaptureFixture[str]
) -> None:
    assert test_network(network, rollouts=1).same_images
    assert capsys.readouterr().err == ""
    other = load_network(network.path, task=replace(CORNER, source=Inverted()))
    assert test_network(other, rollouts=1).same_images is False
    assert "the images of corner are not those of the run" in capsys.readouterr().err


def test_a_network_is_of_the_task_that_trained_it(network: TrainedNetwork) -> None:
    renamed = replace(CORNER, name="another")  # as a folder that is called otherwise elsewhere
    assert load_network(network.path, task=renamed).task.name == "another"
    label = replace(CORNER.labels[0], name="another")
    with pytest.raises(NogsError, match="was trained for another label of corner"):
        load_network(network.path, task=replace(CORNER, labels=(label,)))


def test_sequences_of_other_images_are_not_shown(network: TrainedNetwork, tmp_path: Path) -> None:
    labels = [1 - label for label in CORNER.source.load("train").labels[:48, 0].tolist()]
    other = write_sequences(tmp_path / "other", label=labels)
    with pytest.raises(NogsError, match="other labels than the images of corner"):
        look(network, tmp_path / "a.png", split="train", index=0, sequences=other)
    own = write_sequences(tmp_path / "own")
    with pytest.raises(NogsError, match=r"sequences are shown in \.png, \.svg and \.html"):
        look(network, tmp_path / "a.gif", split="train", index=0, sequences=own)


def test_wishes_that_no_machine_can_hold_are_one_line(
    network: TrainedNetwork, tmp_path: Path
) -> None:
    with pytest.raises(NogsError, match=r"--index 9{20}: the split test has images"):
        look(network, tmp_path / "a.png", index=int("9" * 20))
    given = ["test", str(network.path), "--task", f"{SUPPORT}/corner_task.py:CORNER"]
    done = CliRunner().invoke(app, [*given, "--out", str(tmp_path / "a.jpg"), "--rollouts", "1"])
    assert done.exit_code == 1
    assert "a figure is written as .png or .svg" in done.output


def test_names_that_are_no_text_are_written_with_their_bytes(
    network: TrainedNetwork, tmp_path: Path
) -> None:
    side = CORNER.image_size
    folder = tmp_path / "pictures"
    folder.mkdir()
    name = os.fsencode(folder) + b"/a\xe9.png"
    Image.new("L", (side, side)).save(tmp_path / "a.png")
    try:
        os.rename(tmp_path / "a.png", name)
    except OSError:
        pytest.skip("the file system takes names of UTF-8 alone")
    for out in (tmp_path / "a.csv", tmp_path / "a.parquet"):
        predict(network, folder, out)
    with (tmp_path / "a.csv").open(encoding="utf-8") as file:
        assert [row["file"] for row in csv.DictReader(file)] == ["a\\xe9.png"]
    assert pq.read_table(tmp_path / "a.parquet")["file"].to_pylist() == ["a\\xe9.png"]


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_images_of_any_channels_can_be_shown(channels: int) -> None:
    image = np.arange(channels, dtype=np.uint8).reshape(-1, 1, 1) * np.ones((1, 5, 5), np.uint8)
    wanted = {1: [0, 0, 0], 2: [0, 0, 0], 3: [0, 1, 2], 4: [1, 1, 1]}[channels]
    assert (_shown(image) == wanted).all()
    assert _shown(image).shape == (5, 5, 3)
