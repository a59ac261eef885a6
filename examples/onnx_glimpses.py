"""Look at a picture with an exported network: numpy and onnxruntime, no torch, five glimpses.

nogs-bench export results/RUN.json --onnx device
python examples/onnx_glimpses.py device PICTURE.png
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image, UnidentifiedImageError

if len(sys.argv) != 3:
    sys.exit("give two arguments: the exported folder and a picture")
folder, picture = Path(sys.argv[1]), Path(sys.argv[2])
for wanted in (folder / "network.json", folder / "step.onnx", picture):
    if not wanted.is_file():
        sys.exit(f"no file {wanted}; give a folder of `nogs-bench export` and a picture")
about = json.loads((folder / "network.json").read_text())
session = onnxruntime.InferenceSession(folder / "step.onnx", providers=["CPUExecutionProvider"])
names = [each.name for each in session.get_inputs()]
side, size = about["glimpse_size"], about["image_size"]
mode = {1: "L", 3: "RGB"}[about["channels"]]
try:
    opened = Image.open(picture)
except UnidentifiedImageError:
    sys.exit(f"{picture} is no picture that Pillow reads; give a .png or .jpg")
image = opened.convert(mode).resize((size, size))  # cut it to a square first

state = np.array(about["state"], np.float32)
policy = np.array(about["policy"])
for t in range(about["T"]):
    cell = int(policy.argmax())
    row, col = about["pixels"][cell]
    patch = np.asarray(image.crop((col, row, col + side, row + side)), np.float32) / 255
    patch = patch.reshape(side, side, -1).transpose(2, 0, 1)[None]  # no other pixel is read
    location = np.array([about["locations"][cell]], np.float32)
    feeds = dict(zip(names, (state, patch, location), strict=True))
    state, belief, probabilities = session.run(None, feeds)
    policy = probabilities[0]
    print(
        f"glimpse {t + 1} at row {row}, column {col}: "
        f"{about['classes'][int(belief.argmax())]} ({belief.max():.0%})"
    )
