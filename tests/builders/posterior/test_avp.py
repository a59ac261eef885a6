"""The AVP: what it sees, what it learns, and that stopping it changes nothing."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch

from nogs_bench.builders.bank.roles import assign_roles
from nogs_bench.builders.pipeline import build
from nogs_bench.builders.posterior.avp import Avp
from nogs_bench.builders.posterior.interface import prepare
from nogs_bench.builders.posterior.training import epochs, train_avp
from nogs_bench.builders.posterior.training.batches import batches_of
from nogs_bench.errors import NogsError
from nogs_bench.tasks.task import Splits
from tiny import Corner, corner_images, corner_task


def test_unobserved_pixels_and_order_do_not_matter():
    task = corner_task()
    avp = Avp(task).eval()
    images = torch.from_numpy(corner_images(0, 6).images)
    cells = torch.tensor([[0, 5]]).expand(6, -1)
    seen = torch.from_numpy(task.grid.masks[[0, 5]].any(0))
    blanked = torch.where(seen, images, torch.zeros_like(images))
    torch.testing.assert_close(avp.log_posterior(images, cells), avp.log_posterior(blanked, cells))
    torch.testing.assert_close(
        avp.log_posterior(images, cells), avp.log_posterior(images, cells.flip(1))
    )


def test_t_counts_the_glimpses_that_are_seen():
    avp = Avp(corner_task()).eval()
    images = torch.from_numpy(corner_images(0, 4).images)
    cells = torch.tensor([[1, 8]]).expand(4, -1)
    one = avp(images, cells, torch.ones(4, dtype=torch.int64))[0]
    torch.testing.assert_close(one, avp(images, cells[:, :1])[0])
    assert not torch.equal(one, avp(images, cells)[0])


def test_prepared_pairs_are_the_rows_one_by_one():
    """Completions of two images with other prefixes, in any order, with repeats."""
    avp = Avp(corner_task()).eval()
    images = torch.from_numpy(corner_images(0, 5).images)
    prefix = torch.tensor([[4], [4], [4], [2], [2]])
    rows, cells = torch.tensor([3, 0, 0, 4, 1]), torch.tensor([0, 7, 8, 2, 7])
    with torch.inference_mode():
        together = prepare(avp, images, prefix).log_posterior(rows, cells)
    for log, row, cell in zip(together, rows, cells, strict=True):
        taken = torch.stack([prefix[row, 0], cell])[None]
        torch.testing.assert_close(log[None], avp.log_posterior(images[row][None], taken))


def train(tmp_path, task, name):
    roles = assign_roles(task, 30, seed=0, data=None)
    return train_avp(task, roles, 0, tmp_path / f"{name}.safetensors", "cpu")


@pytest.mark.parametrize("epochs", range(1, 11))
def test_it_trains_for_any_number_of_steps(epochs, tmp_path):
    """torch's schedule divides by 0 where a tenth of the steps is one step: 5 batches, 2 epochs."""
    task = corner_task()
    settings = replace(task.avp, epochs=epochs, batch_size=220 // (1 if epochs > 5 else 5))
    assert train(tmp_path, replace(task, avp=settings), "avp")["epoch"] <= epochs


def test_it_learns_where_the_label_is(tmp_path):
    task = corner_task()
    task = replace(task, avp=replace(task.avp, epochs=25))
    trained = train(tmp_path, task, "avp")
    avp = Avp(task).eval()
    avp.load_state_dict(trained["weights"])
    held = corner_images(9, 200)
    corner = int(task.grid.pixel_to_index(np.array([8, 8])))
    for cell, least, most in ((corner, 0.95, 1.0), (0, 0.1, 0.4)):
        log = avp.log_posterior(torch.from_numpy(held.images), torch.full((200, 1), cell))
        assert least <= (log.argmax(1).numpy() == held.labels[:, 0]).mean() <= most


@pytest.mark.parametrize(
    ("network", "rate", "epochs"),
    [
        ("local:8k4s4-32", 1e-2, 6),
        pytest.param("tokens:test_vit", 1e-3, 12, marks=pytest.mark.slow),
    ],
)
def test_the_posterior_is_reached_in_closed_form(network, rate, epochs, tmp_path):
    """One of four where the corner was seen, also after another glimpse; else a quarter each."""
    sizes = {"train": 4000, "validation": 60, "test": 80, "avp_validation": 500}
    task = corner_task(source=Corner(sizes=tuple(sizes.items())), splits=Splits(*sizes.values()))
    task = replace(task, avp=replace(task.avp, network=network, epochs=epochs, learning_rate=rate))
    avp = Avp(task)
    avp.load_state_dict(train(tmp_path, task, "avp")["weights"])
    avp.freeze()
    held = corner_images(9, 200)
    images, truth = torch.from_numpy(held.images), torch.from_numpy(held.labels)
    for cells, nats in (([8], 0.0), ([2, 8], 0.0), ([0], np.log(4)), ([4, 1], np.log(4))):
        log = avp.log_posterior(images, torch.tensor(cells).expand(200, -1))
        assert -log.gather(1, truth).mean().item() == pytest.approx(nats, abs=0.1)
        assert torch.special.entr(log.exp()).sum(1).mean().item() == pytest.approx(nats, abs=0.2)


def test_a_stopped_training_goes_on_to_the_same_weights(tmp_path, monkeypatch):
    task = corner_task()
    undisturbed = train(tmp_path, task, "whole")
    save, saved = epochs.save_checkpoint, []

    def stop_after_first(path, state):
        save(path, state)
        saved.append(path)
        if len(saved) == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(epochs, "save_checkpoint", stop_after_first)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, task, "stopped")
    resumed = train(tmp_path, task, "stopped")
    assert len(saved) == task.avp.epochs
    assert resumed["curve"] == undisturbed["curve"]
    for name, weight in undisturbed["weights"].items():
        assert torch.equal(weight, resumed["weights"][name])


def test_folding_batch_norm_changes_nothing(tmp_path):
    task = corner_task()
    avp = Avp(task)
    avp.load_state_dict(train(tmp_path, task, "avp")["weights"])
    avp.eval()
    images, cells = torch.from_numpy(corner_images(3, 50).images), torch.full((50, 1), 8)
    before = avp.log_posterior(images, cells)
    avp.freeze()
    assert not any("BatchNorm" in type(layer).__name__ for layer in avp.modules())
    torch.testing.assert_close(avp.log_posterior(images, cells), before, rtol=1e-4, atol=1e-5)


class Stubborn(torch.nn.Module):
    """A teacher that says the same of every image, whatever is seen; labels say otherwise."""

    def forward(self, images, cells, t=None):
        return [torch.tensor([2.0, 1.0, 0.0, -1.0]).expand(len(images), -1)]


def test_a_student_comes_nearer_to_its_teacher(tmp_path):
    """At the telling corner labels and teacher differ most; the divergence is from the teacher."""
    task = corner_task()
    roles = assign_roles(task, 30, seed=0, data=None)
    held = torch.from_numpy(corner_images(9, 200).images)
    gaps = []
    for share in (0.0, 0.5, 1.0):
        settings = replace(task.avp, epochs=8, distillation=share)
        taught = replace(task, avp=settings)
        path = tmp_path / f"{share}.safetensors"
        trained = train_avp(taught, roles, 0, path, "cpu", teacher=Stubborn())
        avp = Avp(taught).eval()
        avp.load_state_dict(trained["weights"])
        said = Stubborn()(held, None)[0].log_softmax(1)
        log = avp.log_posterior(held, torch.full((200, 1), 8))
        gaps.append((said.exp() * (said - log)).sum(1).mean().item())
    assert gaps[2] < gaps[1] < gaps[0]


def test_chosen_sequences_are_seen_beside_random_ones():
    """By a quarter of each batch, whose images stay: at chosen cells but every other one's last."""
    task = corner_task(T=3)
    task = replace(task, avp=replace(task.avp, batch_size=40, warmup=1.0, chosen_share=0.25))
    roles = assign_roles(task, 30, seed=0, data=None)
    chosen = np.tile([[8, 0, 8]], (3, 1))
    plain = list(batches_of(task, roles, 0, 0))
    mixed = list(batches_of(task, roles, 0, 0, chosen))
    assert len(plain) == len(mixed) > 1
    cells, t = mixed[0][2:]
    for before, after in zip(plain[0], mixed[0], strict=True):
        assert np.array_equal(before[10:], after[10:])
    for before, after in zip(plain[0][:2], mixed[0][:2], strict=True):
        assert np.array_equal(before, after)
    assert t[:10].min() >= 1
    assert t[:10].max() <= 3
    for row in range(10):
        expected = [8, 0, 8][: t[row]] if row % 2 else [8, 0, 8][: t[row] - 1]
        assert cells[row, : len(expected)].tolist() == expected


def test_timing_an_epoch_counts_its_batches_and_the_validation():
    """A clock that ticks once a reading: one tick a batch, one for the validation."""
    task = corner_task()
    roles = assign_roles(task, 30, seed=0, data=None)
    ticks = itertools.count()
    found = epochs.seconds_per_epoch(task, roles, 0, "cpu", lambda: float(next(ticks)))
    assert found == len(roles.avp(0)) // task.avp.batch_size + 1


def test_what_diverges_at_once_is_one_line_and_leaves_nothing(tmp_path):
    with pytest.raises(NogsError, match=r"diverged in epoch 1; lower avp\.learning_rate"):
        build(
            corner_task(), tmp_path, workers=1, device="cpu", images=4,
            overrides={"avp.learning_rate": 1e30},
        )  # fmt: skip
    assert not [path for path in tmp_path.rglob("*avp*") if path.is_file()]


def test_what_diverges_later_keeps_the_epochs_before(tmp_path, monkeypatch, capsys):
    task = corner_task()
    one = train(tmp_path, replace(task, avp=replace(task.avp, epochs=1)), "one")
    validate, found = epochs.validate_avp, []

    def ends(avp, task, roles):
        found.append(validate(avp, task, roles))
        if len(found) == 2:
            found[-1]["cross_entropy"][1] = float("nan")
        return found[-1]

    monkeypatch.setattr(epochs, "validate_avp", ends)
    kept = train(tmp_path, replace(task, avp=replace(task.avp, epochs=5)), "diverges")
    assert (kept["epoch"], len(kept["curve"]), len(found)) == (1, 1, 2)
    assert kept["weights"].keys() == one["weights"].keys()
    assert "in epoch 2, and what epoch 1 gave is kept" in capsys.readouterr().err
