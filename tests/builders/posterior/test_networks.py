"""timm backbones as AVP networks: the mask's channel, normalisation, weights and their absence."""

from dataclasses import replace

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file

from nogs_bench.builders.posterior.avp import Avp
from nogs_bench.builders.posterior.networks import make_network
from nogs_bench.errors import NogsError
from tiny import corner_task


def _masked(seed: int, size: int, channels: int = 3) -> torch.Tensor:
    """Pixels in 0 .. 1 where seen, 0 elsewhere; then the mask."""
    rng = np.random.default_rng(seed)
    pixels = torch.from_numpy(rng.random((2, channels, size, size), np.float32))
    seen = torch.from_numpy((rng.random((2, 1, size, size)) < 0.3).astype(np.float32))
    return torch.cat([pixels * seen, seen], dim=1)


@pytest.mark.parametrize(("name", "size"), [("test_resnet", 48), ("test_vit", 64)])
def test_local_weights_begin_as_the_backbone_that_has_them(tmp_path, name, size):
    """Beside timm's own model with the same weights, normalised by hand, without any mask."""
    torch.manual_seed(0)
    fixed = {"img_size": size} if name == "test_vit" else {}
    theirs = timm.create_model(name, num_classes=1000, **fixed).eval()
    path = tmp_path / "weights.safetensors"
    save_file(theirs.state_dict(), path)
    mine = make_network(f"timm:{name}@{path}", 3, size, 1000).eval()
    masked = _masked(1, size)
    pixels, seen = masked[:, :3], masked[:, 3:]
    normalised = torch.where(seen > 0, (pixels - 0.5) / 0.5, 0.0)
    torch.testing.assert_close(mine(masked), theirs(normalised), atol=1e-4, rtol=1e-4)


def test_the_mask_counts_once_it_is_trained():
    network = make_network("timm:test_resnet", 3, 32, 4)
    network.eval()
    masked = _masked(2, 32)
    other = torch.cat([masked[:, :3], masked[:, 3:]], dim=1)
    network.backbone.conv1[0].weight.data[:, 3] += 0.1
    other[:, 3:] = 1 - other[:, 3:]
    network.mean.zero_()
    assert not torch.allclose(network(masked), network(other))


@pytest.mark.parametrize(
    ("network", "channels", "size", "outputs"),
    [
        ("timm:densenet121", 3, 64, 80),
        ("timm:test_resnet", 1, 28, 10),
        ("timm:test_vit", 3, 24, 824),
        ("timm:mobilenetv3_small_050", 3, 64, 80),
    ],
)
def test_any_backbone_takes_masked_images_of_any_size(network, channels, size, outputs):
    module = make_network(network, channels, size, outputs).eval()
    with torch.inference_mode():
        assert module(_masked(3, size, channels)).shape == (2, outputs)


def test_a_trained_network_needs_no_weights_again(tmp_path):
    gone = make_network(f"timm:test_resnet@{tmp_path}/gone.safetensors", 3, 32, 4, weights=False)
    fresh = make_network("timm:test_resnet", 3, 32, 4)
    assert gone.state_dict().keys() == fresh.state_dict().keys()


@pytest.mark.parametrize(
    ("spec", "named"),
    [
        ("timm:no_such_model", "no_such_model"),
        ("timm:test_resnet@missing.safetensors", "missing.safetensors"),
        ("timm:test_resnet@weights.pth", r"existing \.safetensors"),
        ("no-such-network", "unknown AVP network"),
    ],
)
def test_bad_names_are_refused(spec, named):
    with pytest.raises(NogsError, match=named):
        make_network(spec, 3, 32, 4)


@pytest.mark.parametrize(
    "argument", ["16k4s2", "16k4s2-0", "16-32-256", "16k4s0-8", "0k4s2-8", "16k99s2-8", "16k4s2-x"]
)
def test_impossible_convolutions_are_refused(argument):
    with pytest.raises(NogsError, match=r"write its convolutions.*16k4s2p1-32k3s2p1-256"):
        make_network(f"local:{argument}", 1, 28, 10)


def test_weights_of_another_backbone_are_refused(tmp_path):
    path = tmp_path / "vit.safetensors"
    save_file(timm.create_model("test_vit").state_dict(), path)
    with pytest.raises(NogsError, match="do not fit timm's test_resnet"):
        make_network(f"timm:test_resnet@{path}", 3, 32, 4)


def test_an_unreachable_hub_is_one_line(monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(NogsError, match=r"out of reach.*FILE\.safetensors"):
        make_network("timm:test_resnet@pretrained", 3, 32, 4)


def test_training_starts_from_the_weights_and_loading_does_without(tmp_path):
    task = corner_task(channels=1)
    path = tmp_path / "weights.safetensors"
    theirs = timm.create_model("test_resnet", in_chans=3)
    save_file(theirs.state_dict(), path)
    task = replace(task, avp=replace(task.avp, network=f"timm:test_resnet@{path}"))
    started = Avp(task, weights=True)
    first = started.network.layers.backbone.conv1[0].weight
    # timm sums the colours' weights for grey images; the mask's are zero.
    torch.testing.assert_close(first[:, 0], theirs.conv1[0].weight.sum(1))
    assert (first[:, 1] == 0).all()
    path.unlink()
    Avp(task).load_state_dict(started.state_dict())
