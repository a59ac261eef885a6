from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from corner_task import CORNER
from nogs_bench.errors import NogsError
from nogs_bench.network.embedders import make_embedder
from nogs_bench.network.fovea import Fovea, follow, roll_out
from nogs_bench.network.model import HardAttentionNet, check_model, load_model, location_parameters
from nogs_bench.tasks.task import get_task
from nogs_bench.training.metrics import complexity, step_costs
from places import ROOT


def test_complexity_of_the_reference_by_hand():
    # 4 x 4 glimpses: 16 channels at 4 x 4, 32 at 2 x 2, pooled to 1 x 1; units 8, 9 cells.
    embedder = 16 * 16 * 9 + 4 * 32 * 16 * 9 + 32 * 8
    step = embedder + 2 * 8 + 2 * 3 * 8 * 8 + 8 * 8 + 8 * 9
    cost = complexity(HardAttentionNet(CORNER), CORNER)
    assert cost["multiply_adds"] == 2 * step + 8 * 2
    assert step_costs(HardAttentionNet(CORNER), CORNER) == [step + 8 * 2, 2 * (step + 8 * 2)]
    assert cost["pixels_seen"] == 2 * 16
    weights = (160 + 4640 + 264) + 24 + 2 * (192 + 24) + 8 + (72 + 81) + 18
    assert cost["parameters"] == weights


def test_the_location_network_is_found_and_a_shared_one_refused():
    net = HardAttentionNet(CORNER)
    assert location_parameters(net, CORNER) == {
        f"locator.{layer}.{part}" for layer in (0, 2) for part in ("weight", "bias")
    }

    class Shared(HardAttentionNet):
        def classify(self, state):
            return self.locator(state)[:, :2]

    with pytest.raises(NogsError, match=r"shares locator\.0\.bias with classify"):
        location_parameters(Shared(CORNER), CORNER)


def test_fixed_glimpses_are_taken_and_embedding_them_at_once_changes_nothing():
    torch.manual_seed(0)
    net, rows = HardAttentionNet(CORNER), torch.arange(5)
    fovea = Fovea(CORNER.grid, torch.randint(0, 256, (5, 1, 12, 12), dtype=torch.uint8))
    fixed = torch.tensor([[0, 4, 8, -1, 2], [1, 1, 7, -1, 3]])
    rollout = roll_out(net, fovea, rows, torch.rand(2, 5), fixed)
    assert torch.equal(rollout.cells[:, [0, 1, 2, 4]], fixed[:, [0, 1, 2, 4]])
    assert rollout.cells.min() >= 0
    at_once = follow(net, fovea, rows, rollout.cells)
    assert torch.allclose(at_once, rollout.class_logits, atol=1e-6)
    by_steps = [net.start(5)]
    for cells in rollout.cells:
        patch, location = fovea(rows, cells)
        by_steps.append(
            net.core(torch.relu(net.glimpse(patch) + net.location(location)), by_steps[-1])
        )
    assert torch.allclose(net.classify(by_steps[-1]), at_once, atol=1e-6)


def test_the_fovea_shows_pixels_over_255_and_centres_from_minus_one_to_one():
    images = torch.arange(144, dtype=torch.uint8).view(1, 1, 12, 12).repeat(2, 1, 1, 1)
    patch, location = Fovea(CORNER.grid, images)(torch.tensor([0, 1]), torch.tensor([0, 5]))
    assert torch.allclose(patch[1, 0, 0] * 255, torch.arange(56.0, 60.0))  # row 4, columns 8 to 11
    assert location.tolist() == [[-1, -1], [0, 1]]


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 7, 8, 16])
def test_the_conv_embedder_takes_any_glimpse(size):
    from nogs_bench.tasks.geometry import GlimpseGrid

    task = replace(CORNER, grid=GlimpseGrid.even(16, size, 1), channels=3)
    out = make_embedder("conv", task, 6)(torch.rand(2, 3, size, size))
    assert out.shape == (2, 6)


def test_a_timm_backbone_embeds_with_random_or_local_weights(tmp_path):
    import timm
    from safetensors.torch import save_file

    task = replace(CORNER, training=replace(CORNER.training, embedder="timm:test_resnet"))
    check_model(HardAttentionNet(task), task)
    torch.manual_seed(1)
    save_file(timm.create_model("test_resnet").state_dict(), tmp_path / "w.safetensors")
    spec = f"timm:test_resnet@{tmp_path}/w.safetensors"
    patch = torch.rand(2, 1, 4, 4)
    backbones = [make_embedder(spec, task, 5).eval().backbone for _ in range(2)]
    features = [backbone(patch.repeat(1, 1, 8, 8)) for backbone in backbones]
    assert torch.equal(*features)
    held = {
        f"body.{name}": value
        for name, value in timm.create_model("test_resnet").state_dict().items()
    }
    save_file(held, tmp_path / "other.safetensors")
    with pytest.raises(NogsError, match="do not fit timm's test_resnet: they have no"):
        make_embedder(f"timm:test_resnet@{tmp_path}/other.safetensors", task, 5)
    whole = timm.create_model("test_resnet").state_dict()
    wider = {name: torch.cat([v, v]) if v.ndim == 4 else v for name, v in whole.items()}
    save_file(wider, tmp_path / "wider.safetensors")
    one_line = r"cannot be made: size mismatch for \S+ copying a .*\(and \d+ more\)$"
    with pytest.raises(NogsError, match=one_line) as caught:
        make_embedder(f"timm:test_resnet@{tmp_path}/wider.safetensors", task, 5)
    assert "\n" not in str(caught.value)
    (tmp_path / "config.json").write_text('{"architecture": "test_resnet_of_another_kind"}')
    with pytest.raises(NogsError, match="those of test_resnet_of_another_kind, not of test_resnet"):
        make_embedder(spec, task, 5)
    (tmp_path / "config.json").unlink()
    with pytest.raises(NogsError, match="no model 'test_resnot'"):
        make_embedder("timm:test_resnot", task, 5)
    with pytest.raises(NogsError, match="unknown embedder 'conw': did you mean 'conv'"):
        make_embedder("conw", task, 5)


def test_a_timm_backbone_is_given_colours_as_it_was_trained_on():
    """What the backbone gets of a grey glimpse of its own mean is 0."""
    embedder = make_embedder("timm:test_resnet", CORNER, 5).eval()
    mean = sum(embedder.backbone.pretrained_cfg["mean"]) / 3
    seen = []
    embedder.backbone.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    embedder(torch.full((2, 1, 4, 4), mean))
    assert seen[0].abs().max() < 1e-6


def test_a_timm_backbone_is_given_glimpses_of_the_size_that_is_asked_for():
    seen = []
    for spec in ("timm:test_resnet", "timm:test_resnet/16"):
        embedder = make_embedder(spec, CORNER, 5)
        embedder.backbone.register_forward_pre_hook(lambda _, args: seen.append(args[0].shape))
        embedder(torch.rand(2, 1, 4, 4))
    assert [tuple(shape) for shape in seen] == [(2, 1, 32, 32), (2, 1, 16, 16)]
    with pytest.raises(NogsError, match="test_convnext does not take 8 pixels"):
        make_embedder("timm:test_convnext/8", CORNER, 5)
    with pytest.raises(NogsError, match="'big' pixels; write timm:test_resnet/16"):
        make_embedder("timm:test_resnet/big", CORNER, 5)


def test_what_is_wrong_with_a_model_is_said():
    class NoClassify(nn.Module):
        start = look = locate = HardAttentionNet.start

    with pytest.raises(NogsError, match="NoClassify has no method classify"):
        check_model(NoClassify(), CORNER)
    with pytest.raises(NogsError, match=r"must be a torch nn\.Module"):
        check_model(object(), CORNER)

    class Wide(HardAttentionNet):
        def classify(self, state):
            return state

    with pytest.raises(NogsError, match=r"classify\(state\) must return logits \(2, 2\).*\(2, 8\)"):
        check_model(Wide(CORNER), CORNER)

    class Raises(HardAttentionNet):
        def look(self, state, patch, location):
            raise ValueError("oh")

    with pytest.raises(NogsError, match=r"look\(.*\) failed: ValueError\('oh'\)"):
        check_model(Raises(CORNER), CORNER)

    class Grows(HardAttentionNet):
        def look(self, state, patch, location):
            return torch.cat([state, state], 1)

    with pytest.raises(NogsError, match="they must agree"):
        check_model(Grows(CORNER), CORNER)


def test_models_by_name_and_by_file(tmp_path):
    reference = load_model("reference")
    same = [reference.build(CORNER, 3), reference.build(CORNER, 3)]
    assert torch.equal(same[0].core.weight_hh, same[1].core.weight_hh)
    assert not torch.equal(same[0].core.weight_hh, reference.build(CORNER, 4).core.weight_hh)

    mine = load_model(f"{ROOT}/examples/custom_model.py:MyNet")
    assert mine.name == "MyNet"
    assert mine.digest != reference.digest
    mine.build(get_task("fashion-mnist"), 0)
    with pytest.raises(NogsError, match="unknown model 'referense'"):
        load_model("referense")
    with pytest.raises(NogsError, match="no such model"):
        load_model(f"{tmp_path}/none.py:Net")


# Their pooled features have the width of the trunk in some, of a layer behind it in others.
FAMILIES = (
    "convnext_atto dla46_c edgenext_xx_small ghostnet_050 lcnet_035 mnasnet_small "
    "mobilenetv3_small_050 mobilenetv4_conv_small_035 regnetx_002 test_efficientnet tinynet_e"
)


DEEP = ("convnext_atto", "dla46_c", "edgenext_xx_small")  # they halve 16 pixels to none


@pytest.mark.parametrize(
    ("name", "size"),
    [(n, size) for n in FAMILIES.split() for size in ("", "/16") if not (size and n in DEEP)],
)
def test_every_family_of_timm_embeds(name: str, size: str) -> None:
    embedder = make_embedder(f"timm:{name}{size}", CORNER, 5)
    assert embedder.eval()(torch.rand(2, CORNER.channels, 4, 4)).shape == (2, 5)


@pytest.mark.parametrize("name", ["test_vit", "test_mambaout", "test_nfnet", "test_byobnet"])
def test_small_ones_of_other_families_embed_too(name: str) -> None:
    embedder = make_embedder(f"timm:{name}", CORNER, 5)
    assert embedder.eval()(torch.rand(2, CORNER.channels, 4, 4)).shape == (2, 5)
