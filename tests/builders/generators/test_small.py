"""The other generators: functions, folders, datasets, samplers, pipelines, weights, names."""

import json
import pickle
from dataclasses import dataclass, replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from nogs_bench.builders.generators import GENERATORS, Setting, open_generator
from nogs_bench.builders.generators.pipelines import PipelineGenerator
from nogs_bench.builders.generators.pixels import fit, in_blocks, to_images
from nogs_bench.errors import NogsError
from nogs_bench.files import Mirror
from nogs_bench.images.labelled import LabelledImages
from nogs_bench.network.weights import load_weights
from nogs_bench.tasks.task import get_task
from places import ROOT
from tiny import Corner, corner_images, corner_task


def setting(tmp_path, task=None):
    return Setting(
        task=task or corner_task(),
        data=None,
        seed=0,
        device="cpu",
        training=lambda: corner_images(0, 64),
        folder=tmp_path / "work",
        mirror=Mirror(tmp_path),
    )


def test_blocks_are_whole_and_aligned():
    asked = []

    def make(numbers):
        asked.append((numbers.start, numbers.stop))
        rows = np.array(numbers)
        return LabelledImages(rows.astype(np.uint8)[:, None, None, None], rows[:, None])

    assert in_blocks(6, 7, 5, make).labels[:, 0].tolist() == list(range(6, 13))
    assert asked == [(5, 10), (10, 15)]


def test_to_images_maps_minus_one_to_black_and_one_to_white():
    values = torch.tensor([-1.0, -0.5, 0, 1, -7, 7]).view(6, 1, 1, 1).expand(6, 1, 4, 4)
    assert to_images(values, 1, 4)[:, 0, 0, 0].tolist() == [0, 64, 128, 255, 0, 255]


def test_fit_cuts_the_middle_square_and_converts():
    pixels = np.zeros((3, 6, 10), np.uint8)
    pixels[:, :, 2:8] = 200
    assert (fit(pixels, 1, 6) == 200).all()
    red = np.zeros((3, 6, 6), np.uint8)
    red[0] = 255
    # ITU-R 601: 0.299 of red.
    assert np.unique(fit(red, 1, 6)).tolist() == [76]
    assert fit(pixels[:1], 3, 6).shape == (3, 6, 6)


def test_fit_keeps_the_mean_when_it_resizes():
    pixels = np.random.default_rng(0).integers(256, size=(3, 64, 64)).astype(np.uint8)
    small = fit(pixels, 3, 8)
    np.testing.assert_allclose(small.mean((1, 2)), pixels.mean((1, 2)), atol=3)
    assert small.std() < pixels.std() / 4


FILE = """
import numpy as np
def good(seed, start, count):
    numbers = np.arange(start, start + count)
    rows = [np.random.default_rng([seed, i]).integers(256, size=(3, 16, 20)) for i in numbers]
    return np.stack(rows).astype(np.uint8), numbers % 4
def batch_seeded(seed, start, count):
    rng = np.random.default_rng([seed, start])
    return rng.integers(256, size=(count, 1, 12, 12)).astype(np.uint8)
def floats(seed, start, count):
    return np.zeros((count, 1, 12, 12))
def wrong_labels(seed, start, count):
    return np.zeros((count, 1, 12, 12), np.uint8), np.full(count, 4)
def turned_labels(seed, start, count):
    return np.zeros((count, 1, 12, 12), np.uint8), np.zeros((1, count), int)
def triple(seed, start, count):
    return np.zeros((count, 1, 12, 12), np.uint8), np.zeros(count, int), "more"
def ragged(seed, start, count):
    return [np.zeros((1, 12, 12 + i), np.uint8) for i in range(count)]
def ragged_labels(seed, start, count):
    return np.zeros((count, 1, 12, 12), np.uint8), [[0] * (1 + i) for i in range(count)]
def empty(seed, start, count):
    return np.zeros((count, 1, 0, 0), np.uint8)
def flat(seed, start, count):
    return np.zeros((count, 1, 12, 0), np.uint8)
def nothing(seed, start, count):
    return None
class Unreadable:
    def __array__(self, dtype=None, copy=None):
        raise OSError("gone")
def unreadable(seed, start, count):
    return Unreadable()
thing = 3
"""


@pytest.fixture
def mine(tmp_path):
    (tmp_path / "mine.py").write_text(FILE)
    return f"{tmp_path}/mine.py"


def test_a_function_of_the_user(tmp_path, mine):
    generator = open_generator(f"{mine}:good", setting(tmp_path))
    made = generator.sample(0, 3, 5)
    assert made.images.shape == (5, 1, 12, 12)
    assert made.labels[:, 0].tolist() == [3, 0, 1, 2, 3]
    np.testing.assert_array_equal(generator.sample(0, 5, 1).images, made.images[2:3])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("batch_seeded", "image 4 of seed 0 differs when it is asked for alone"),
        ("floats", "gave float64"),
        ("wrong_labels", "not a class of corner"),
        ("turned_labels", r"labels int64 \(1, 5\); expected integers \(5, 1\)"),
        ("triple", "triple gave 3 values; give images, or also labels"),
        ("ragged", "ragged gave images that are no array"),
        ("ragged_labels", "ragged_labels gave labels that are no array"),
        ("empty", r"empty gave uint8 \(5, 1, 0, 0\)"),
        ("flat", r"flat gave uint8 \(5, 1, 12, 0\)"),
        ("nothing", r"nothing gave object \(\)"),
        ("unreadable", r"unreadable gave images that are no array \(gone\)"),
        ("thing", "is a int, not a function"),
        ("absent", "defines no 'absent'"),
    ],
)
def test_a_function_that_breaks_its_promise_is_refused(tmp_path, mine, name, message):
    with pytest.raises(NogsError, match=message):
        open_generator(f"{mine}:{name}", setting(tmp_path)).sample(0, 0, 5)


def test_a_folder_gives_each_image_once_in_seeded_order(tmp_path):
    folder = tmp_path / "images" / "deeper"
    folder.mkdir(parents=True)
    for value in range(7):
        Image.new("RGB", (20, 14), (value * 30,) * 3).save(folder / f"{value}.png")
    generator = open_generator(f"folder:{tmp_path}/images", setting(tmp_path))
    whole = generator.sample(0, 0, 7)
    shades = whole.images[:, 0, 0, 0].tolist()
    assert sorted(shades) == [value * 30 for value in range(7)]
    assert generator.sample(0, 2, 3).images[:, 0, 0, 0].tolist() == shades[2:5]
    assert any(generator.sample(s, 0, 7).images[:, 0, 0, 0].tolist() != shades for s in range(1, 4))
    assert (whole.labels == -1).all()
    with pytest.raises(NogsError, match="8 images was asked of 7"):
        generator.sample(0, 0, 8)
    (folder / "broken.png").write_bytes(b"not an image")
    with pytest.raises(NogsError, match=r"broken\.png cannot be read as an image"):
        open_generator(f"folder:{tmp_path}/images", setting(tmp_path))


def test_a_dataset_with_labels(tmp_path):
    from datasets import ClassLabel, Dataset, Features
    from datasets import Image as ImageFeature

    rows = {
        "picture": [Image.new("L", (12, 12), shade) for shade in (10, 20, 30, 40)],
        "kind": [0, 1, 2, 3],
    }
    features = Features({"picture": ImageFeature(), "kind": ClassLabel(names=list("abcd"))})
    (tmp_path / "data").mkdir()
    Dataset.from_dict(rows, features=features).to_parquet(tmp_path / "data" / "train.parquet")
    spec = f"dataset:{tmp_path}/data,image=picture"
    generator = open_generator(f"{spec},label=kind", setting(tmp_path))
    assert json.loads(json.dumps(generator.config)) == generator.config
    made = generator.sample(0, 0, 4)
    assert (made.images[:, 0, 0, 0] == 10 * (made.labels[:, 0] + 1)).all()
    assert (open_generator(spec, setting(tmp_path)).sample(0, 0, 4).labels == -1).all()
    with pytest.raises(NogsError, match="has no column 'image'"):
        open_generator(f"dataset:{tmp_path}/data", setting(tmp_path))


def test_the_tasks_own_sampler(tmp_path):
    task = get_task("cluttered-digits")
    made = open_generator("sampler", setting(tmp_path, task)).sample(0, 300, 5)
    expected = task.source.sample("bank-0", 300, 5)
    np.testing.assert_array_equal(made.images, expected.images)
    with pytest.raises(NogsError, match="corner has no sampler"):
        open_generator("sampler", setting(tmp_path))


@dataclass(frozen=True)
class Shade(Corner):
    """Images of the brightness that a file says."""

    def sample(self, stream, start, count, data=None):
        shade = int((data / "shade").read_text())
        return LabelledImages(
            np.full((count, 1, 12, 12), shade, np.uint8), np.zeros((count, 1), np.int64)
        )


def test_a_sampler_reads_the_data_and_is_known_by_what_it_gives(tmp_path):
    here = replace(setting(tmp_path, corner_task(source=Shade())), data=tmp_path)
    made = []
    for shade in (10, 200, 10):
        (tmp_path / "shade").write_text(str(shade))
        made.append(open_generator("sampler", here))
        assert (made[-1].sample(1, 5, 3).images == shade).all()
    assert made[0].config == made[2].config != made[1].config


class Pipeline:
    """Stands in for a diffusers pipeline: noise from the generators that it is given."""

    def __init__(self):
        self.calls = []

    def __call__(self, batch_size=1, generator=None, num_inference_steps=50, output_type="pil"):
        self.calls.append((batch_size, num_inference_steps, output_type))
        images = [torch.rand(12, 12, 1, generator=stream) for stream in generator]
        return SimpleNamespace(images=torch.stack(images).numpy())


class TextPipeline:
    def __call__(self, prompt=None, generator=None, output_type="pil"):
        images = [torch.full((12, 12, 1), len(text) / 10) for text in prompt]
        return SimpleNamespace(images=torch.stack(images).numpy())


def test_a_pipeline_draws_each_image_from_its_own_stream():
    pipeline = Pipeline()
    generator = PipelineGenerator(pipeline, corner_task(), {}, steps=3)
    whole = generator.sample(0, 0, 12)
    assert pipeline.calls == [(8, 3, "np")] * 2
    np.testing.assert_array_equal(generator.sample(0, 9, 2).images, whole.images[9:11])
    from nogs_bench.randomness import torch_generator

    stream = torch_generator(torch.device("cpu"), 0, "diffusers", 10)
    expected = (torch.rand(12, 12, generator=stream) * 255).round()
    np.testing.assert_allclose(whole.images[10, 0], expected, atol=1)


def test_a_text_pipeline_needs_its_prompt():
    made = PipelineGenerator(TextPipeline(), corner_task(), {}, prompt="birds").sample(0, 0, 1)
    assert np.unique(made.images).tolist() == [128]
    with pytest.raises(NogsError, match="needs prompt=TEXT"):
        PipelineGenerator(TextPipeline(), corner_task(), {})
    with pytest.raises(NogsError, match="takes no prompt"):
        PipelineGenerator(Pipeline(), corner_task(), {}, prompt="birds")


def test_a_real_diffusers_pipeline(tmp_path):
    diffusers = pytest.importorskip("diffusers")
    network = diffusers.UNet2DModel(
        sample_size=8,
        in_channels=1,
        out_channels=1,
        layers_per_block=1,
        block_out_channels=(8,),
        norm_num_groups=4,
        down_block_types=("DownBlock2D",),
        up_block_types=("UpBlock2D",),
    )
    scheduler = diffusers.DDIMScheduler(num_train_timesteps=10)
    diffusers.DDIMPipeline(network, scheduler).save_pretrained(tmp_path / "pipe")
    generator = open_generator(f"diffusers:{tmp_path}/pipe,steps=2", setting(tmp_path))
    whole = generator.sample(0, 0, 9)
    assert whole.images.shape == (9, 1, 12, 12)
    np.testing.assert_array_equal(generator.sample(0, 3, 2).images, whole.images[3:5])
    for weights in (tmp_path / "pipe").rglob("*.safetensors"):
        weights.unlink()
    with pytest.raises(NogsError, match="cannot be loaded"):
        open_generator(f"diffusers:{tmp_path}/pipe", setting(tmp_path))


class Payload:
    ran = False

    def __reduce__(self):
        return (setattr, (Payload, "ran", True))


@pytest.mark.parametrize("name", ["w.pt", "w.pth", "w.model"])
def test_weights_are_never_unpickled(tmp_path, name):
    torch.save({"layer": torch.zeros(1), "extra": Payload()}, tmp_path / name)
    with pytest.raises(NogsError, match="not loaded for safety"):
        load_weights(tmp_path / name)
    (tmp_path / name).write_bytes(pickle.dumps(Payload(), protocol=2))
    with pytest.raises(NogsError, match="not loaded for safety"):
        load_weights(tmp_path / name)
    assert not Payload.ran


def test_weights_that_are_missing_damaged_or_of_another_kind(tmp_path):
    with pytest.raises(NogsError, match="no weights"):
        load_weights(tmp_path / "absent.safetensors")
    (tmp_path / "cut.safetensors").write_bytes(b"\x08\0\0\0\0\0\0\0{")
    with pytest.raises(NogsError, match="damaged"):
        load_weights(tmp_path / "cut.safetensors")
    with pytest.raises(NogsError, match="must be one of"):
        load_weights(tmp_path / "w.pkl")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("stylegun:x", "did you mean 'stylegan'"),
        ("stylegan", "no file is named"),
        ("stylegan:absent.pt", "no file absent.pt"),
        ("stylegan:x.pt,psi=1", "stylegan has no option 'psi'"),
        ("stylegan:x.pt,truncation=much", "truncation=much is not a valid value"),
        ("diffusers:x,steps=0", "diffusers: steps=0 is not a valid value"),
        ("gan,steps=0", "gan: steps=0 is not a valid value"),
        ("gan,steps=-3", "gan: steps=-3 is not a valid value"),
        ("gan,steps=2,steps=3", "gan: steps is given twice"),
        ("gan:x.safetensors,steps=2", "what is in a file is trained; leave steps out"),
        ("finegan:absent.pth", "no file absent.pth"),
        ("folder:absent", "no such folder"),
    ],
)
def test_a_bad_name_is_one_clear_line(tmp_path, spec, message):
    with pytest.raises(NogsError, match=message) as error:
        open_generator(spec, setting(tmp_path))
    assert "\n" not in str(error.value)


def test_every_generator_is_documented():

    page = (ROOT / "docs" / "generators.md").read_text()
    documented = {
        line.split("`")[1].split(":")[0] for line in page.splitlines() if line[:3] == "| `"
    }
    assert set(GENERATORS.names()) - {"callable"} <= documented
