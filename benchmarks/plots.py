"""How the plots of the benchmarks look, and how they are kept: small enough for a page of text."""

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


def open_figure(*, height: float, rows: int = 1, columns: int = 1) -> "tuple[Figure, list[Axes]]":
    """Opens a figure, without a display.

    Args:
        height: In inches.
        rows: Of panels.
        columns: Of panels.

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
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
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
