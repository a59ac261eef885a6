"""The small conditional GAN: what it learns, resumption, and the bank that it makes."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from nogs_bench.builders.generators import Setting, open_generator
from nogs_bench.builders.generators.gan import training as gan_training
from nogs_bench.builders.generators.gan.generator import Gan, read_gan
from nogs_bench.builders.generators.gan.network import GanDiscriminator, GanSizes
from nogs_bench.builders.generators.gan.training import GanTraining, train_gan
from nogs_bench.builders.pipeline.command import build
from nogs_bench.errors import NogsError
from nogs_bench.files import Mirror
from nogs_bench.images.labelled import LabelledImages
from nogs_bench.tasks.task import Label
from tiny import corner_task

TINY = GanTraining(steps=6, batch_size=8, width=4, checkpoint_period=2)


def halves(count=256, size=8):
    """Label 0: the upper half is bright; 1: the lower. Brightness varies."""
    rng = np.random.default_rng(0)
    labels = rng.integers(2, size=(count, 1))
    images = np.zeros((count, 1, size, size), np.uint8)
    shade = rng.integers(180, 256, size=(count, 1, 1, 1))
    images[:, :, : size // 2] = np.where(labels[:, :, None, None] == 0, shade, 20)
    images[:, :, size // 2 :] = np.where(labels[:, :, None, None] == 1, shade, 20)
    return LabelledImages(images, labels)


def halves_task():
    return corner_task(labels=(Label("half", ("upper", "lower")),))


def test_it_learns_the_image_given_the_label(tmp_path):
    settings = GanTraining(
        steps=150, batch_size=32, width=8, decay=0.9,
        generator_rate=1e-3, discriminator_rate=2e-3,
    )  # fmt: skip
    path = train_gan(halves(), (2,), tmp_path / "gan.safetensors", settings=settings)
    network, _ = read_gan(path)
    z = torch.randn(20, network.sizes.noise, generator=torch.Generator().manual_seed(1))
    for label in (0, 1):
        images = network(z, torch.full((20, 1), label)).numpy()
        upper, lower = images[:, 0, :4].mean((1, 2)), images[:, 0, 4:].mean((1, 2))
        bright = upper > lower if label == 0 else lower > upper
        assert bright.mean() >= 0.9


def test_a_stopped_training_gives_the_same_bytes(tmp_path, monkeypatch):
    whole = train_gan(halves(), (2,), tmp_path / "a.safetensors", settings=TINY)
    update = gan_training._Run.update
    done = []

    def stops(run):
        if len(done) == 5:
            raise KeyboardInterrupt
        done.append(run.step)
        update(run)

    monkeypatch.setattr(gan_training._Run, "update", stops)
    with pytest.raises(KeyboardInterrupt):
        train_gan(halves(), (2,), tmp_path / "b.safetensors", settings=TINY)
    assert not (tmp_path / "b.safetensors").exists()
    done.clear()
    resumed = train_gan(halves(), (2,), tmp_path / "b.safetensors", settings=TINY)
    assert done == [4, 5]
    assert resumed.read_bytes() == whole.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.safetensors", "b.safetensors"]


def test_a_checkpoint_of_another_training_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(
        gan_training._Run, "product", lambda run: (_ for _ in ()).throw(MemoryError)
    )
    with pytest.raises(MemoryError):
        train_gan(halves(), (2,), tmp_path / "a.safetensors", settings=TINY)
    with pytest.raises(NogsError, match="of another training"):
        train_gan(
            halves(), (2,), tmp_path / "a.safetensors", settings=replace(TINY, generator_rate=1e-5)
        )


def test_training_needs_labels(tmp_path):
    images = halves()
    images.labels[3] = -1
    with pytest.raises(NogsError, match="needs labels"):
        train_gan(images, (2,), tmp_path / "a.safetensors", settings=TINY)


def test_what_diverges_is_one_line_and_no_file(tmp_path):
    settings = replace(TINY, generator_rate=1e30, checkpoint_period=100)
    with pytest.raises(NogsError, match="the GAN diverged"):
        train_gan(halves(), (2,), tmp_path / "a.safetensors", settings=settings)
    assert not list(tmp_path.iterdir())


def test_the_discriminators_layers_are_bounded():
    """Spectral normalisation: the largest singular value of every layer tends to one."""
    torch.manual_seed(0)
    network = GanDiscriminator(GanSizes(1, 8, (2,), width=4))
    for _ in range(200):
        network(torch.randn(2, 1, 8, 8), torch.zeros(2, 1, dtype=torch.int64))
    for layer in (*network.layers, network.score):
        matrix = layer.weight.detach().flatten(1)
        assert torch.linalg.svdvals(matrix)[0] == pytest.approx(1, abs=0.02)


def test_labels_of_several_columns_keep_their_joint_distribution(tmp_path):
    images = halves(64)
    both = LabelledImages(images.images, np.hstack([images.labels, images.labels + 1]))
    path = train_gan(both, (2, 3), tmp_path / "a.safetensors", settings=TINY)
    task = corner_task(labels=(Label("a", ("0", "1")), Label("b", ("0", "1", "2"))))
    labels = Gan(path, task, "cpu").sample(0, 0, 200).labels
    assert {tuple(row) for row in labels.tolist()} == {(0, 1), (1, 2)}
    assert labels[:, 0].mean() == pytest.approx(both.labels[:, 0].mean(), abs=0.15)


def test_the_generator_trains_once_and_any_range_agrees(tmp_path):
    calls = []

    def training():
        calls.append(1)
        return halves(32)

    setting = Setting(halves_task(), None, 0, "cpu", training, tmp_path, Mirror(tmp_path))
    generator = open_generator("gan,steps=2", setting)
    made = sorted(tmp_path.glob("gan-*.safetensors"))
    before = made[0].stat().st_mtime_ns
    whole = generator.sample(0, 0, 70)
    assert whole.images.shape == (70, 1, 12, 12)
    again = open_generator("gan,steps=2", setting)
    assert made[0].stat().st_mtime_ns == before
    np.testing.assert_array_equal(again.sample(0, 60, 10).images, whole.images[60:])
    loaded = open_generator(f"gan:{made[0]}", setting)
    np.testing.assert_array_equal(loaded.sample(0, 0, 5).labels, whole.labels[:5])
    with pytest.raises(NogsError, match="trained for other labels than corner's"):
        open_generator(f"gan:{made[0]}", replace(setting, task=corner_task()))


def test_the_trained_one_is_named_by_all_that_it_depends_on(tmp_path, monkeypatch):
    here = Setting(
        halves_task(), None, 0, "cpu", lambda: halves(32), tmp_path, Mirror(tmp_path)
    )  # fmt: skip
    exact = replace(here, exactness={"deterministic": True})
    for setting in (here, replace(here, seed=1), replace(here, training=lambda: halves(64)), exact):
        open_generator("gan,steps=2", setting)
    open_generator("gan,steps=3", here)
    monkeypatch.setattr("nogs_bench.files.artefact.package_version", lambda: "999")
    open_generator("gan,steps=2", here)
    made = list(tmp_path.glob("gan-*.safetensors"))
    assert len(made) == 6
    # What was damaged is made again.
    whole = {path: path.read_bytes() for path in made}
    for path in made:
        path.write_bytes(whole[path][:-1] + bytes([whole[path][-1] ^ 1]))
    open_generator("gan,steps=2", here)
    assert sum(path.read_bytes() == whole[path] for path in made) == 1


def test_a_build_trains_the_gan_and_takes_its_bank_from_it(tmp_path):
    out = build(
        corner_task(), tmp_path / "out", images=4, posterior="bank", criterion="cross-entropy",
        bank="gan,steps=3", bank_images=80, workers=1, device="cpu",
    )  # fmt: skip
    stages = json.loads((out / "provenance.json").read_text())["made_by"]["stages"]
    assert stages["generated-bank"]["config"]["generator"] == "gan"
    assert stages["generated-bank"]["config"]["images"] == 80
    assert stages["bank"]["parents"] == {"generated-bank": stages["generated-bank"]["key"]}
    assert len(list((out / ".build").glob("gan-*.safetensors"))) == 1
