"""Writes and runs `classroom.ipynb`, the notebook beside it, and keeps its outputs.

    python examples/make_classroom.py

Edit the cells here, not in the notebook.
"""

from __future__ import annotations

from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

NOTEBOOK = Path(__file__).with_name("classroom.ipynb")
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
CELLS = [
    """\
# Where to look

A network sees a 28 x 28 image through five glimpses of 6 x 6 pixels, and chooses where each one
goes. How does it learn to choose? Three answers, in ten minutes on a laptop, without a GPU or a
network:

1. by reward alone (RAM, Mnih et al. 2014);
2. from a good observer, who looks where the label is expected to be least uncertain afterwards;
3. a little of the second makes the first quick (PS-NOGS, Harvey, Teng and Wood 2019).""",
    """\
```python
%matplotlib inline
import matplotlib.pyplot as plt
import numpy as np

import nogs_bench

task = nogs_bench.get_task("cluttered-digits")
task
```""",
    """\
The images: one handwritten digit somewhere, among scraps of others. Five glimpses cover at most a
quarter of the pixels, so where they go is nearly everything.""",
    """\
```python
rows = nogs_bench.load("cluttered-digits", images=True, split="train")
figure, panels = plt.subplots(1, 8, figsize=(9, 1.4))
for axes, row in zip(panels, rows.select(range(8))):
    axes.imshow(row["image"], cmap="gray")
    axes.set_title(row["label"], fontsize=9)
    axes.axis("off")
```""",
    """\
## A map of expected posterior entropy

Before each glimpse a good observer asks of every location: *if I look there, how uncertain will I
still be about the label?* What will be seen there is not known, so the answer is an average over
images that agree with what has been seen. The map below is that average, in nats: dark is good. The
cross is the least, and there the glimpse goes.""",
    """\
```python
maps = nogs_bench.load("cluttered-digits", "maps", split="train[:8]")
chosen = 1
row, epe = rows[chosen], np.array(maps[chosen]["epe_map"])
seen = np.full((task.image_size,) * 2, 90)
figure, panels = plt.subplots(2, task.T, figsize=(9, 3.8))
for t, (top, left) in enumerate(row["glimpses"]):
    size = task.glimpse_size
    seen[top : top + size, left : left + size] = np.asarray(row["image"])[
        top : top + size, left : left + size
    ]
    panels[0, t].imshow(epe[t], cmap="viridis", extent=(0, 28, 28, 0))
    panels[0, t].plot(left + size / 2, top + size / 2, "rx", markersize=9, markeredgewidth=2)
    panels[0, t].set_title(f"before glimpse {t + 1}", fontsize=9)
    panels[1, t].imshow(seen, cmap="gray", vmin=0, vmax=255)
for axes in panels.flat:
    axes.axis("off")
print(f"this is a {row['label']}")
```""",
    """\
Before the first glimpse nothing has been seen, so its map is the same for all images. Afterwards
each image has its own. Where do the 1,500 sequences look, step by step?""",
    """\
```python
annotated = nogs_bench.load("cluttered-digits", split="train[:1500]").with_format("numpy")
cells = task.grid.pixel_to_index(annotated["glimpses"][:])
figure, panels = plt.subplots(1, task.T, figsize=(9, 1.9))
for t, axes in enumerate(panels):
    share = np.bincount(cells[:, t], minlength=task.grid.cells).reshape(task.grid.shape)
    axes.imshow(np.sqrt(share), cmap="viridis")
    axes.set_title(f"t = {t + 1}", fontsize=9)
    axes.axis("off")
```""",
    """\
## RAM against PS-NOGS

Both train the same network on the same images for as many iterations. RAM is told only whether its
answer was right. PS-NOGS is shown the sequences of 1,500 of the 60,000 images, and rewarded for the
others.""",
    """\
```python
nogs_bench.evaluate(methods=("ram", "ps-nogs"), seeds=1, iterations=600, out="results")
```""",
    """\
```python
from nogs_bench.results import load_results

for run in load_results("results"):
    at = [point.iteration for point in run.curve]
    plt.plot(at, [100 * point.accuracy for point in run.curve], label=run.method)
plt.xlabel("iterations")
plt.ylabel("validation accuracy, %")
plt.legend(frameon=False);
```""",
    """\
## Watch it look

Every run keeps its network. Load the one that PS-NOGS trained, and watch it look at a test image
that it has never seen. The red squares are its glimpses, in their order; the bars are what it
believes after each.""",
    """\
```python
from pathlib import Path

from IPython.display import Image

network = nogs_bench.load_network(next(Path("results").glob("*ps-nogs*.json")))
nogs_bench.look(network, "look.gif", index=7)
Image("look.gif")
```""",
    """\
Try other images (`index=`), the network that RAM trained, and a page of many:
`nogs_bench.look(network, "look.html")`.""",
    """\
One seed proves nothing: `nogs-bench evaluate` runs three of the task's whole length, and gives
every number with its interval.

## To think about

1. Why is the best first location the same for all images, and why is it where it is?
2. The map before the second glimpse has its least elsewhere. What has the first one told?
3. RAM is rewarded when its answer is right. Which of the five glimpses earned it?
4. How many sequences does PS-NOGS need? Try `supervised=150`, with another `out`.
5. A sequence is chosen greedily. Think of an image whose best pair of glimpses does not begin with
   the best single one.""",
]


def make_notebook() -> nbformat.NotebookNode:
    """The notebook without outputs."""
    cells = []
    for number, text in enumerate(CELLS):
        code = text.removeprefix("```python\n").removesuffix("\n```")
        cell = new_markdown_cell(text) if code == text else new_code_cell(code)
        cell["id"] = f"cell-{number}"
        cells.append(cell)
    return new_notebook(cells=cells, metadata={"kernelspec": KERNEL})


def run_notebook(notebook: nbformat.NotebookNode, folder: Path) -> nbformat.NotebookNode:
    """Run it in `folder`. Raises `nbclient.exceptions.CellExecutionError` at a cell that fails."""
    client = NotebookClient(notebook, timeout=900, resources={"metadata": {"path": str(folder)}})
    client.execute()
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)  # the times of day
        if cell.cell_type == "code":  # progress bars
            cell.outputs = [
                o
                for o in cell.outputs
                if o.get("name") != "stderr"
                and not (o.output_type == "display_data" and "text/html" in o.get("data", {}))
            ]
    notebook.metadata.pop("widgets", None)
    return notebook


if __name__ == "__main__":
    import os
    import tempfile

    os.environ["HF_DATASETS_DISABLE_PROGRESS_BARS"] = "1"
    with tempfile.TemporaryDirectory() as name:
        nbformat.write(run_notebook(make_notebook(), Path(name)), NOTEBOOK)
    print(f"{NOTEBOOK}: {NOTEBOOK.stat().st_size:,} bytes")
