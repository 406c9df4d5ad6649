"""How the plots of the benchmarks look, and how they are kept: small enough for a page of text."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH_INCHES = 9.0
"""At 100 dots an inch: 900 pixels, as wide as a page shows them."""

OURS, OTHERS, MARK = "#4f6bed", "#9aa3b2", "#d1495b"
"""Colours: of this project, of what it is compared with, and of targets and limits."""

_DOTS = 100
_COLOURS = 128


def open_figure(
    *, height: float, rows: int = 1, columns: int = 1, shared: bool = True
) -> "tuple[Figure, list[Axes]]":
    """Opens a figure, without a display.

    Args:
        height: In inches.
        rows: Of panels.
        columns: Of panels.
        shared: Whether the panels have the same axes.

    Returns:
        The figure, and its panels row by row.
    """
    from matplotlib import rc
    from matplotlib.figure import Figure

    rc("font", size=9)
    rc("axes", titlesize=9, labelsize=9, grid=True, axisbelow=True)
    rc("axes.spines", top=False, right=False)
    rc("grid", color="#e3e6eb")
    rc("legend", frameon=False)
    figure = Figure(figsize=(WIDTH_INCHES, height), dpi=_DOTS, layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False, sharex=shared, sharey=shared)
    return figure, list(panels.flat)


def save_figure(figure: "Figure", path: Path) -> None:
    """Writes a figure with few colours, which is a third of the bytes.

    Args:
        figure: The figure.
        path: Its file, a PNG.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, format="png")
    with Image.open(path) as drawn:
        drawn.convert("RGB").quantize(_COLOURS).save(path, format="png", optimize=True)


@dataclass(frozen=True, kw_only=True)
class Bar:
    """A figure to be compared with others of its panel.

    Attributes:
        what: What was measured.
        value: In the unit of the panel.
        is_ours: Whether it is of this project.
        target: The most or the least that it ought to be, where there is one.
    """

    what: str
    value: float
    is_ours: bool
    target: float | None = None


def _label(what: str) -> str:
    """What stands beside a bar: plain words in lines that leave it room."""
    return textwrap.fill(what.replace("`", "").replace("\\|", "|"), width=44)


def _told(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def draw_bars(panels: Sequence[tuple[str, Sequence[Bar]]], path: Path) -> None:
    """Draws lying bars, with a mark where a target is.

    Args:
        panels: The title of each, which names the unit, and its bars from top to bottom.
        path: Of the picture.
    """
    height = sum(0.6 + 0.4 * len(bars) for _, bars in panels)
    figure, axes = open_figure(height=height, rows=len(panels), shared=False)
    for axis, (title, bars) in zip(axes, panels, strict=True):
        places = range(len(bars))
        colours = [OURS if bar.is_ours else OTHERS for bar in bars]
        drawn = axis.barh(places, [bar.value for bar in bars], color=colours)
        axis.bar_label(drawn, fmt=_told, padding=3)
        for place, bar in enumerate(bars):
            if bar.target is not None:
                axis.plot([bar.target] * 2, [place - 0.45, place + 0.45], color=MARK, linewidth=2)
        axis.set_yticks(places, [_label(bar.what) for bar in bars])
        axis.invert_yaxis()
        axis.grid(visible=False, axis="y")
        axis.margins(x=0.08)
        axis.set_title(f"{title} (blue: akool-dagster, red: target)", loc="left")
    save_figure(figure, path)
