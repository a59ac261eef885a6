"""The whole build on a tiny task."""

import itertools
import json
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from builds import files
from nogs_bench.builders.bank.roles import assign_roles
from nogs_bench.builders.completion.conditional_gan import ConditionalGanKind, GanSettings
from nogs_bench.builders.dataset.card import PASTED, dataset_card
from nogs_bench.builders.pipeline.chosen import load_chosen
from nogs_bench.builders.pipeline.command import build
from nogs_bench.builders.posterior.oracle import BankPosterior
from nogs_bench.builders.posterior.reliability import draw_reliability, read_calibration
from nogs_bench.builders.search import shards
from nogs_bench.builders.search.epe import CRITERIA
from nogs_bench.errors import NogsError
from nogs_bench.tasks.task import get_task
from tiny import corner_task


def quick(out, **arguments):
    given = {"workers": 1, "threads": 1, "device": "cpu"} | arguments
    return build(corner_task(), out, **given)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    return quick(tmp_path_factory.mktemp("built") / "corner", posterior="bank")


def test_sequences_look_at_the_corner_that_tells(built):
    rows = pq.read_table(built / "annotations" / "train.parquet").to_pylist()
    annotated = [row for row in rows if row["annotated"]]
    assert len(annotated) == 30
    assert all(row["glimpses"][0] == [8, 8] for row in annotated)


def test_quality_says_so(built):
    quality = json.loads((built / "provenance.json").read_text())["quality"]
    assert quality["built"]["accuracy"][0] > 0.95 > quality["random"]["accuracy"][0]


def test_a_score_is_called_no_expectation(built, tmp_path):
    """Always with pasted pixels; else where the means part."""
    pasted = quick(tmp_path / "pasted", posterior="bank", observed="pasted", images=4)
    for folder, true in ((pasted, False), (built, None)):
        quality = json.loads((folder / "provenance.json").read_text())["quality"]["built"]
        gaps = np.abs(np.subtract(quality.get("stated", np.inf), quality["cross_entropy"]))
        if true is None:
            true = bool((gaps <= 0.05).all())
        card = (folder / "README.md").read_text()
        assert ("score" in quality) == (not true) == ("stated" not in quality)
        assert ("`epe` is a score, no expectation" in card) == (not true)
        assert ("| built | stated EPE, nats" in card) == true
    record = (pasted / "provenance.json").read_text()
    assert PASTED in (pasted / "README.md").read_text()
    # A later version may have a way that this one has not.
    later = json.loads(record.replace('"observed": "pasted"', '"observed": "later"'))
    assert PASTED not in dataset_card(corner_task(), later, {}, None)


def test_what_was_gained_comes_with_its_error(built):
    """Paired: of the same images, built minus random sequences."""
    record = json.loads((built / "provenance.json").read_text())
    quality = record["quality"]
    gain, built_, random = (quality[n] for n in ("built - random", "built", "random"))
    for t in range(2):
        difference = built_["cross_entropy"][t] - random["cross_entropy"][t]
        assert gain["cross_entropy"][t] == pytest.approx(difference, abs=1e-5)
    assert 0 < gain["standard_error"][0] < 0.5
    rows = pq.read_table(built / "annotations" / "train.parquet").to_pylist()
    epe = np.array([row["epe"] for row in rows if row["annotated"]])
    name = "score" if "score" in built_ else "stated"
    np.testing.assert_allclose(built_[name], epe.mean(0), rtol=1e-5)
    factors = record["made_by"]["epe_factors"]
    np.testing.assert_allclose(built_[name], np.multiply(built_["searched"], factors), rtol=1e-5)


def test_calibration_is_that_of_uniform_glimpses(built, tmp_path):
    curves = read_calibration(built)
    assert [sum(curve.count) for curve in curves] == [30, 30]
    record = json.loads((built / "provenance.json").read_text())
    errors = record["calibration"]["expected_calibration_error"]
    assert errors == pytest.approx([curve.expected_error for curve in curves])
    assert record["publishable"]
    row = " | ".join(["| uniform | expected calibration error", *(f"{e:.3f}" for e in errors)])
    assert row in (built / "README.md").read_text()
    assert draw_reliability(curves, tmp_path / "r.svg").stat().st_size


def test_a_build_leaves_torch_s_threads_as_they_were(tmp_path):
    before = torch.get_num_threads()
    torch.set_num_threads(before + 1)
    try:
        quick(tmp_path / "corner", posterior="bank")
        assert torch.get_num_threads() == before + 1
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize(
    "wrong", [{"seed": 1.5}, {"folds": 1.5}, {"folds": "2"}, {"threads": 0}, {"seed": "x"}]
)
def test_numbers_that_are_none_are_one_line_before_any_work(tmp_path, wrong):
    with pytest.raises(NogsError, match=f"--{next(iter(wrong))} must be "):
        quick(tmp_path / "corner", posterior="bank", **wrong)
    assert not (tmp_path / "corner").exists()


def test_a_build_that_was_stopped_gives_the_same_bytes(built, tmp_path, monkeypatch):
    monkeypatch.setattr(shards, "SHARD", 7)
    work, done = shards._annotate, []

    def stop_in_the_third(load, shard):
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(shard.start)
        return work(load, shard)

    monkeypatch.setattr(shards, "_annotate", stop_in_the_third)
    with pytest.raises(KeyboardInterrupt):
        quick(tmp_path / "corner", posterior="bank")
    assert not (tmp_path / "corner" / "README.md").exists()
    shard = next((tmp_path / "corner" / ".build").glob("*/*.safetensors"))
    shard.write_bytes(shard.read_bytes()[:100])
    monkeypatch.setattr(
        shards, "_annotate", lambda load, shard: done.append(shard.start) or work(load, shard)
    )
    quick(tmp_path / "corner", posterior="bank")
    assert sorted(done) == [0, 0, 7, 14, 21, 28]
    assert files(tmp_path / "corner") == files(built)
    assert not [p for p in (tmp_path / "corner").rglob(".*.safetensors")]


def test_the_same_build_in_two_processes(built, tmp_path):
    build(corner_task(), tmp_path / "corner", posterior="bank", workers=2, threads=1, device="cpu")
    assert files(tmp_path / "corner") == files(built)


def test_avp_build_and_other_seed(tmp_path):
    one = files(quick(tmp_path / "one"))
    assert one == files(quick(tmp_path / "two"))
    assert one != files(quick(tmp_path / "three", seed=1))


def test_another_completion_is_trained_once_as_a_stage(built, tmp_path, monkeypatch):
    monkeypatch.setattr(ConditionalGanKind, "settings", GanSettings(steps=3, width=4))
    arguments = {"posterior": "bank", "completion": "conditional-gan", "images": 4}
    folder = quick(tmp_path / "corner", **arguments)
    stages = json.loads((folder / "provenance.json").read_text())["made_by"]["stages"]
    assert stages["conditional-gan"]["config"]["steps"] == 3
    assert stages["sequences"]["parents"].keys() >= {"conditional-gan", "bank", "posterior"}
    assert stages["sequences"]["config"]["completion"] == "conditional-gan"
    maps = pq.read_table(folder / "maps" / "train.parquet")["epe_map"].to_pylist()
    retrieved = pq.read_table(built / "maps" / "train.parquet")["epe_map"].to_pylist()
    assert maps[0] != retrieved[0]
    monkeypatch.setattr(ConditionalGanKind, "make", None)  # found made
    assert files(quick(tmp_path / "corner", **arguments)) == files(folder)


def test_roles_share_no_image():
    task = corner_task()
    roles = assign_roles(task, 30, seed=0, data=None)
    parts = [roles.annotated, roles.bank, roles.avp(0), roles.avp_validation]
    seen = [{image.tobytes() for image in part.images} for part in parts]
    assert [len(part) for part in seen] == [30, 150, 220, 50]
    assert len(set.union(*seen)) == sum(map(len, seen))


def test_cluttered_digits_roles_share_no_digit():
    """Streams of the sampler are composed from disjoint pools of digits."""
    from nogs_bench.tasks.families.cluttered_digits import POOLS

    ranges = sorted(POOLS.values())
    assert ranges[0][0] == 0
    assert ranges[-1][1] == 1797
    assert all(a[1] == b[0] for a, b in itertools.pairwise(ranges))
    sample = get_task("cluttered-digits").source.sample
    whole = sample("bank", 0, 700)
    np.testing.assert_array_equal(sample("bank", 250, 300).images, whole.images[250:550])
    assert not np.array_equal(sample("avp", 0, 10).images, whole.images[:10])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"images": 0}, "annotation: images must be at least 1"),
        ({"images": 401}, "1 to 400"),
        ({"criterion": "entrpy"}, "did you mean 'entropy'"),
        ({"search": "random"}, "unknown search 'random'"),
        ({"completion": "hcm"}, "did you mean 'hmc'"),
        ({"completion": "hmc", "criterion": "cross-entropy"}, "use --criterion entropy"),
        ({"posterior": "oracle"}, "unknown posterior 'oracle'"),
        ({"overrides": {"avp.network": "cnov"}}, "unknown AVP network 'cnov'"),
        ({"overrides": {"avp.network": "patch-sums"}}, "did you mean 'patch-sum'"),
        ({"overrides": {"avp.network": "timm:resnet18@"}}, "'timm:resnet18@' breaks off"),
        ({"observed": "past"}, "observed must be sample or pasted"),
        ({"images": 300}, "leaves none"),
        ({"data": "/nowhere"}, "--data /nowhere"),
        ({"bank": "nonsense"}, "unknown image generator 'nonsense'"),
    ],
)
def test_bad_arguments_are_refused_before_any_work(tmp_path, arguments, message):
    with pytest.raises(NogsError, match=message):
        quick(tmp_path / "corner", **arguments)
    assert not (tmp_path / "corner").exists()


@pytest.mark.parametrize(
    ("posterior", "message"),
    [("bank", "use --posterior avp"), ("avp", "use --criterion entropy")],
)
def test_labels_are_asked_for_where_they_are_needed(tmp_path, posterior, message):
    """A bank without labels can serve neither its own posterior nor the cross-entropy."""
    task = corner_task()
    roles = assign_roles(task, 30, seed=0, data=None)
    nameless = replace(roles.bank, labels=np.full_like(roles.bank.labels, -1))
    if posterior == "bank":
        with pytest.raises(NogsError, match=message):
            BankPosterior(nameless, task.grid, 4)
    else:
        labels = torch.from_numpy(nameless.labels[:, 0])
        with pytest.raises(NogsError, match=message):
            CRITERIA["cross-entropy"](torch.zeros(1, 150, 4), labels)


def test_a_teacher_and_rounds_come_before_the_posterior(tmp_path):
    """Their files are parents on record; a second build makes nothing again."""
    task = corner_task()
    settings = replace(task.avp, network="local:4k4s4-8", teacher="conv", rounds=1, chosen_images=3)
    task = replace(task, avp=settings)
    folder = build(task, tmp_path / "out", images=4, workers=1, device="cpu")
    stages = json.loads((folder / "provenance.json").read_text())["made_by"]["stages"]
    assert stages["teacher"]["config"]["avp"]["network"] == "conv"
    assert stages["round-0"]["parents"] == {"teacher": stages["teacher"]["key"]}
    assert stages["chosen-1"]["parents"].keys() == {"round-0", "bank"}
    parents = {name: stages[name]["key"] for name in ("teacher", "chosen-1")}
    assert stages["posterior"]["parents"] == parents
    made = sorted(folder.glob(".build/*.safetensors"))
    chosen = load_chosen(next(path for path in made if path.name.startswith("chosen")))
    assert chosen.shape == (3, task.T)
    times = [path.stat().st_mtime_ns for path in made]
    build(task, tmp_path / "out", images=4, workers=1, device="cpu")
    assert times == [path.stat().st_mtime_ns for path in made]
