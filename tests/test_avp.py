"""The AVP: what it sees, what it learns, and that stopping it changes nothing."""

import numpy as np
import pytest
import torch

from nogs_bench.builders import avp as avp_module
from nogs_bench.builders.avp import Avp, train_avp
from nogs_bench.builders.posterior import prepare
from nogs_bench.builders.roles import assign_roles
from tiny import corner_images, corner_task


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


def test_it_learns_where_the_label_is(tmp_path):
    from dataclasses import replace

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


def test_a_stopped_training_goes_on_to_the_same_weights(tmp_path, monkeypatch):
    task = corner_task()
    undisturbed = train(tmp_path, task, "whole")
    save, saved = avp_module.save_checkpoint, []

    def stop_after_first(path, state):
        save(path, state)
        saved.append(path)
        if len(saved) == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(avp_module, "save_checkpoint", stop_after_first)
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
