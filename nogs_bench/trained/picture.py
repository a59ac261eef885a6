"""A picture of one look: the glimpses, the beliefs after each, and the policy before each."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from nogs_bench.errors import NogsError
from nogs_bench.figures import CHOSEN, draw_map, drawing, frame
from nogs_bench.files import replacing
from nogs_bench.trained.cases import LookCase

FRAME_MILLISECONDS = 900
LAST_MILLISECONDS = 2400
OPTIMAL = "#0072b2"
RIGHT, WRONG, UNKNOWN = "#009e73", "#e4002b", "0.35"


def draw_look(case: LookCase, out: str | Path) -> Path:
    """Write a picture of one image's look; returns `out`.

    `.png` and `.svg` show all steps side by side: the policy's map before each glimpse, what has
    been seen after it, the near-optimal sequence if it is known, and the beliefs. `.gif` shows what
    has been seen and believed, one glimpse after another. Equal looks give equal bytes. Raises
    `NogsError` at another ending.
    """
    out = Path(out)
    if out.suffix == ".gif":
        return _animate(case, out)
    if out.suffix not in (".png", ".svg"):
        raise NogsError(f"--out {out}: a look is written as .png, .svg, .gif or .html")
    steps, maps = len(case.glimpses), case.policy is not None
    heights = [*([1.0] if maps else []), 1.0, 0.18 * len(case.likeliest()) + 0.15]
    with drawing(out, (1.6 * (steps + 1), 1.72 * sum(heights))) as figure:
        grid = figure.add_gridspec(
            len(heights), steps + 1, height_ratios=heights, hspace=0.2, wspace=0.12
        )
        _draw_whole(figure.add_subplot(grid[int(maps), 0]), case)
        _draw_verdict(figure.add_subplot(grid[-1, 0]), case)
        for t in range(steps):
            if case.policy is not None:
                _draw_policy(figure.add_subplot(grid[0, t + 1]), case, t)
            seen = figure.add_subplot(grid[int(maps), t + 1])
            _draw_seen(seen, case, t + 1)
            if not maps:
                seen.set_title(f"t = {t + 1}", fontsize=9)
            _draw_beliefs(figure.add_subplot(grid[-1, t + 1]), case, t, names=t == 0)
        if maps:
            note = figure.add_subplot(grid[0, 0])
            note.axis("off")
            text = "where it may\nlook next\n(dark: likely)"
            note.text(0.5, 0.5, text, ha="center", va="center", color="0.35")
    return out


def _animate(case: LookCase, out: Path) -> Path:
    """One frame before the first glimpse, and one after each."""
    import matplotlib as mpl
    from matplotlib.figure import Figure
    from PIL import Image

    frames = []
    with mpl.rc_context({"font.family": "DejaVu Sans", "font.size": 9}):
        for steps in range(len(case.glimpses) + 1):
            figure = Figure(figsize=(5.2, 2.7), dpi=100)
            left, right = figure.subplots(1, 2, gridspec_kw={"width_ratios": [1, 0.9]})
            _draw_seen(left, case, steps)
            left.set_title(f"{case.name}: {steps} of {len(case.glimpses)} glimpses", fontsize=9)
            if steps:
                _draw_beliefs(right, case, steps - 1, names=True)
            else:
                right.axis("off")
            figure.subplots_adjust(left=0.02, right=0.98, top=0.9, bottom=0.03, wspace=0.55)
            held = BytesIO()
            figure.savefig(held, format="png")
            frames.append(Image.open(held).convert("RGB").quantize(128))
    times = [FRAME_MILLISECONDS] * (len(frames) - 1) + [LAST_MILLISECONDS]
    with replacing(out) as temporary:
        frames[0].save(
            temporary, format="GIF", save_all=True, append_images=frames[1:], duration=times, loop=0
        )
    return out


def _draw_seen(axes: Any, case: LookCase, steps: int) -> None:
    _picture(axes, case.seen(steps))
    for number in range(steps):
        newest = number == steps - 1
        _box(axes, case, case.glimpses[number], CHOSEN if newest else "0.4", str(number + 1))


def _draw_whole(axes: Any, case: LookCase) -> None:
    """The image itself, and its near-optimal sequence where there is one."""
    _picture(axes, case.image)
    axes.set_title(case.name, fontsize=8)
    if case.optimal is not None:
        for number, place in enumerate(case.optimal):
            _box(axes, case, place, OPTIMAL, str(number + 1))
        axes.set_xlabel("blue: near-optimal", fontsize=7, color=OPTIMAL, labelpad=2)


def _draw_policy(axes: Any, case: LookCase, t: int) -> None:
    assert case.policy is not None
    values = case.policy[t].reshape(case.grid.shape)
    draw_map(axes, case.grid, values, case.glimpses[t], cmap="Greys", vmin=0)
    axes.set_title(f"t = {t + 1}", fontsize=9)


def _draw_beliefs(axes: Any, case: LookCase, t: int, names: bool) -> None:
    shown = case.likeliest()
    values = case.beliefs[t, shown]
    colours = [_colour(case, number) for number in shown]
    axes.barh(range(len(shown)), values, color=colours, height=0.7)
    axes.set(xlim=(0, 1), ylim=(len(shown) - 0.4, -0.6), xticks=[0, 1])
    labels = [case.classes[number] for number in shown] if names else []
    axes.set_yticks(range(len(shown)) if names else [], labels, fontsize=7)
    axes.tick_params(axis="x", labelsize=7, length=2)
    for at, value in enumerate(values):
        axes.text(min(value + 0.03, 0.8), at, f"{value:.0%}", fontsize=6.5, va="center")


def _draw_verdict(axes: Any, case: LookCase) -> None:
    axes.axis("off")
    text = f"says {case.classes[case.answer]}\nafter {case.used} glimpses"
    if case.label is not None:
        text += "\nwhich is right" if case.right else f"\ntruly {case.classes[case.label]}"
    colour = {None: UNKNOWN, True: RIGHT, False: WRONG}[case.right]
    axes.text(0, 0.6, text, ha="left", va="center", color=colour, fontsize=8)


def _colour(case: LookCase, number: int) -> str:
    if case.label is None:
        return UNKNOWN if number != case.answer else OPTIMAL
    if number == case.label:
        return RIGHT
    return WRONG if number == case.answer else "0.7"


def _picture(axes: Any, image: np.ndarray) -> None:
    size = image.shape[0]
    axes.imshow(image, interpolation="nearest", extent=(0, size, size, 0))
    frame(axes, size)


def _box(axes: Any, case: LookCase, place: np.ndarray, colour: str, number: str) -> None:
    from matplotlib.patches import Rectangle

    row, col = place
    side = case.grid.glimpse_size
    axes.add_patch(Rectangle((col, row), side, side, fill=False, ec=colour, lw=1.4))
    text = axes.text(col + side / 2, row + side / 2, number, color=colour, ha="center", va="center")
    text.set_fontsize(7)
