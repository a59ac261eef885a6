from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import nogs_bench.training.runstate
from corner_task import CORNER, TELLING, telling_annotations
from lone_run import train
from nogs_bench.errors import NogsError
from nogs_bench.files.checkpoint import load_checkpoint
from nogs_bench.methods import METHODS
from nogs_bench.network.fovea import Fovea, ImageTensors
from nogs_bench.network.model import HardAttentionNet, load_model
from nogs_bench.randomness import torch_generator
from nogs_bench.tasks.task import Pretraining, Task
from nogs_bench.training.batches import batch_rows, mixed_rows
from nogs_bench.training.learner import Run
from nogs_bench.training.metrics import measure, policy_classifier, predict, quality
from nogs_bench.training.pretraining import Pretrainee, load_pretrained, pretrain, uniform
from nogs_bench.training.supervision import sequence_table

CPU = torch.device("cpu")
TRAIN, VALIDATION = (
    ImageTensors.of(CORNER.source.load(split), CORNER, CPU) for split in ("train", "validation")
)


def _run(method: str = "ps-nogs", frozen: bool = False, task: Task = CORNER, **more) -> Run:
    return Run(task, METHODS[method], more.pop("iterations", 25), 0, frozen, **more)


def _model(seed: int = 0) -> HardAttentionNet:
    return load_model("reference").build(CORNER, seed)


class _Stopped(Exception):
    pass


def _stop_at(iteration: int):
    def report(done: int, note: str) -> None:
        if done >= iteration:
            raise _Stopped

    return report


@pytest.mark.parametrize("frozen", [False, True])
def test_a_resumed_run_is_the_undisturbed_one(tmp_path, monkeypatch, frozen):
    monkeypatch.setattr(nogs_bench.training.runstate, "CHECKPOINT_SECONDS", 0.0)
    run, path = _run(frozen=frozen, key="k"), tmp_path / "c.safetensors"
    whole, resumed = _model(), _model()
    expected, _ = train(run, whole, TRAIN, VALIDATION, telling_annotations())
    with pytest.raises(_Stopped):
        train(run, _model(), TRAIN, VALIDATION, telling_annotations(), path, _stop_at(20))
    assert load_checkpoint(path)["iteration"] == 10
    torch.rand(3)  # the global state does not matter
    curve, _ = train(run, resumed, TRAIN, VALIDATION, telling_annotations(), path)
    assert curve == expected
    assert [point.iteration for point in curve] == [0, 10, 20, 25]
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name
    with pytest.raises(NogsError, match="belongs to another run"):
        train(replace(run, key="other"), _model(), TRAIN, VALIDATION, None, path)


def test_validation_does_not_disturb_training():
    often = replace(CORNER, training=replace(CORNER.training, evaluation_period=1))
    models = [_model(), _model()]
    for task, model in zip((CORNER, often), models, strict=True):
        train(_run(task=task), model, TRAIN, VALIDATION, telling_annotations())
    assert torch.equal(models[0].core.weight_hh, models[1].core.weight_hh)


def test_freezing_trains_the_location_network_alone():
    model = _model()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    train(_run(frozen=True), model, TRAIN, VALIDATION, telling_annotations())
    changed = {n for n, value in model.state_dict().items() if not torch.equal(value, before[n])}
    assert changed == {name for name in before if name.startswith("locator")}


def test_supervision_teaches_where_to_look_and_then_what_it_is():
    model = _model()
    run = _run(iterations=150)
    curve, _ = train(run, model, TRAIN, VALIDATION, telling_annotations())
    with torch.no_grad():
        first = model.locate(model.start(1)).softmax(-1)[0]
    assert first[TELLING] > 0.5  # 1/9 before
    assert curve[-1].accuracy > 0.9  # nothing but that corner tells the class


def test_reinforce_alone_finds_the_telling_corner():
    curve, _ = train(_run("ram", iterations=400), _model(), TRAIN, VALIDATION)
    # Two uniformly random glimpses see the corner with probability 17/81: accuracy 0.60.
    assert curve[-1].accuracy > 0.75


def test_the_detached_state_keeps_supervision_from_the_rnn():
    """With nothing to classify and no gradient to the RNN, only the location network moves."""
    frozen_parts = {}
    for reaches in (False, True):
        settings = replace(CORNER.training, location_gradient=reaches, batch_size=48)
        model = _model()
        torch.nn.init.zeros_(model.classifier.weight)  # cross-entropy gives the RNN no gradient
        before = model.core.weight_ih.clone()
        run = _run(task=replace(CORNER, training=settings), iterations=1)
        train(
            run,
            model,
            ImageTensors(TRAIN.images[:48], TRAIN.labels[:48]),
            VALIDATION,
            telling_annotations(),
        )
        frozen_parts[reaches] = torch.equal(model.core.weight_ih, before)
    assert frozen_parts == {False: True, True: False}


def test_batches_visit_every_image_once_an_epoch_and_start_anywhere():
    batches = batch_rows(10, 3, seed=1, device=CPU)
    rows = [next(batches) for _ in range(6)]
    for epoch in (rows[:3], rows[3:]):
        assert len(set(torch.cat(epoch).tolist())) == 9
    assert not torch.equal(torch.cat(rows[:3]), torch.cat(rows[3:]))
    later = batch_rows(10, 3, seed=1, device=CPU, start=4)
    assert torch.equal(next(later), rows[4])


def test_a_share_of_the_batch_is_supervised():
    supervised = torch.tensor([2, 5, 7, 11, 13])
    plain = list(itertools.islice(batch_rows(40, 8, 1, CPU), 12))
    mixed = list(itertools.islice(mixed_rows(40, supervised, 8, 0.5, 1), 12))
    for own, rows in zip(plain, mixed, strict=True):
        assert set(rows[:4].tolist()) <= set(supervised.tolist())
        assert len(set(rows[:4].tolist())) == 4
        assert torch.equal(rows[4:], own[4:])
    later = list(itertools.islice(mixed_rows(40, supervised, 8, 0.5, 1, start=5), 7))
    assert all(torch.equal(a, b) for a, b in zip(mixed[5:], later, strict=True))
    # Without supervised images, or a share, nothing changes.
    for rows, share in ((supervised, 0.0), (supervised[:0], 0.5)):
        same = itertools.islice(mixed_rows(40, rows, 8, share, 1), 12)
        assert all(torch.equal(a, b) for a, b in zip(plain, same, strict=True))


def test_the_sequence_table_holds_cells():
    table = sequence_table(CORNER, 96, telling_annotations(2))
    assert table[:2].tolist() == [[TELLING, TELLING]] * 2
    assert (table[2:] == -1).all()


def test_divergence_is_reported():
    model = _model()
    torch.nn.init.constant_(model.classifier.weight, float("nan"))
    with pytest.raises(NogsError, match="diverged before iteration 0"):
        train(_run(), model, TRAIN, VALIDATION)


def _pretrain(path: Path, report=lambda done, note: None) -> HardAttentionNet:
    model = _model()
    plan = Pretraining(25, 1e-2, evaluation_period=10)
    trainee = Pretrainee(CORNER, uniform(CORNER), 0, model, TRAIN, VALIDATION, path, "k")
    pretrain([trainee], plan, path.with_name("unfinished.safetensors"), report)
    return model


def test_pretraining_leaves_the_location_network_keeps_the_best_and_resumes(tmp_path, monkeypatch):
    monkeypatch.setattr(nogs_bench.training.runstate, "CHECKPOINT_SECONDS", 0.0)
    seen: list[str] = []
    _pretrain(tmp_path / "a.safetensors", lambda done, note: seen.append(note))
    with pytest.raises(_Stopped):
        _pretrain(tmp_path / "b.safetensors", _stop_at(20))
    assert not (tmp_path / "b.safetensors").exists()
    _pretrain(tmp_path / "b.safetensors")
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["a.safetensors", "b.safetensors"]
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()

    accuracies = [float(note.split()[1]) for note in seen if note]
    assert len(accuracies) == 4
    best = load_checkpoint(tmp_path / "a.safetensors")["accuracy"]
    assert best == pytest.approx(max(accuracies), abs=5e-4)
    model, fresh = _model(1), _model(0)
    load_pretrained(model, tmp_path / "a.safetensors")
    assert torch.equal(model.locator[0].weight, fresh.locator[0].weight)
    assert not torch.equal(model.core.weight_hh, fresh.core.weight_hh)


def test_averaging_rollouts_by_hand():
    answers = iter([[[0.9, 0.1], [0.8, 0.2]], [[0.4, 0.6], [0.1, 0.9]]])

    def classify(rows, uniform):
        return torch.tensor(next(answers)).log()[:, None]

    (metrics,) = measure(torch.nn.Identity(), classify, torch.tensor([[0, 1]]), T=1, rollouts=2)
    assert metrics.accuracy == pytest.approx(0.5)  # right: 0.9, then 0.9
    assert metrics.averaged_accuracy == 1.0  # (0.65, 0.35) and (0.45, 0.55)
    nats = [-torch.tensor(p).log().mean().item() for p in ([0.9, 0.2, 0.4, 0.9], [0.65, 0.55])]
    assert [metrics.cross_entropy, metrics.averaged_cross_entropy] == pytest.approx(nats)


def test_prediction_is_in_eval_mode_and_depends_on_its_key_alone():
    model = _model()
    classify = policy_classifier(model, Fovea(CORNER.grid, VALIDATION.images))

    def of(key):
        return predict(model, classify, 64, CORNER.T, [torch_generator(CPU, key)])

    first = of("a")
    torch.rand(5)
    assert torch.equal(first, of("a"))
    assert not torch.equal(first, of("b"))
    assert not model.training
    found = quality(first, VALIDATION.labels)
    assert 0 <= found.accuracy <= 1
    assert found.cross_entropy > 0
