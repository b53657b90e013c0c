"""Sheets of drawings, as pictures and as SVG."""

import math
from xml.sax.saxutils import escape

import numpy as np

from tfgen.data.strokes import to_lines
from tfgen.report.figures import BLACK, BLUE, FONTS, QUICK_WIDTH, WIDTH, new_figure, titled

MOST_DRAWINGS = 400
# Of a cell of a sheet: its part around the drawing, and the width of a line.
MARGIN, LINE_WIDTH = 0.12, 0.016


def stroke_sheet(drawings, titles=None, columns=None, title=None, quick=False):
    """Draws drawings in the cells of a sheet, as `lay_out` places them.

    Args:
        drawings: List of arrays `(points, 3)` of dx, dy, pen.
        titles: Optional list of texts, below the drawings.
        columns: Number of columns; None makes the sheet about square.
        title: Optional title.
        quick: See `tfgen.report.figures.new_figure`.
    """
    drawings = drawings[:MOST_DRAWINGS]
    cells, cell, columns, rows = lay_out(drawings, columns)
    inches = QUICK_WIDTH / columns if quick else min(1.2, WIDTH / columns)
    height = rows * inches + (0.4 if title else 0)
    figure = new_figure(columns * inches, height, quick)
    from matplotlib.collections import LineCollection

    axes = figure.add_axes((0, 0, 1, rows * inches / height)) if quick else figure.add_subplot()
    width = max(LINE_WIDTH * inches * 72, 0.5)  # points, of which an inch has 72
    axes.add_collection(
        LineCollection(
            [line for lines in cells for line in lines if len(line) > 1],
            colors=BLACK,
            linewidths=width,
            capstyle="round",
            joinstyle="round",
        )
    )
    dots = [line[0] for lines in cells for line in lines if len(line) == 1]
    if dots:
        axes.scatter(*np.array(dots).T, s=width**2, color=BLACK, linewidths=0)
    _grid(axes, cell, columns, rows)
    for number, text in enumerate(titles[: len(drawings)] if titles else ()):
        axes.text(
            (number % columns + 0.5) * cell,
            (number // columns + 0.98) * cell,
            text,
            ha="center",
            va="bottom",
            fontsize=min(FONTS[quick][1], 8 * inches),
            color=BLUE,
        )
    return titled(figure, title)


def _grid(axes, cell, columns, rows):
    for column in range(columns + 1):
        axes.axvline(column * cell, color="#dddddd", linewidth=0.6, zorder=0)
    for row in range(rows + 1):
        axes.axhline(row * cell, color="#dddddd", linewidth=0.6, zorder=0)
    axes.set(xlim=(0, columns * cell), ylim=(rows * cell, 0), aspect="equal")
    axes.axis("off")


def lay_out(drawings, columns=None):
    """Places drawings in the cells of a grid, each in the middle of its own, all to one scale.

    A drawing of more than twice the median's size is shrunk to that, lest one that a model let run
    away make all others dots.

    Args:
        drawings: List of arrays `(points, 3)` of dx, dy, pen.
        columns: Number of columns; None makes the grid about square.

    Returns:
        `(cells, cell, columns, rows)`: for each drawing its polylines in the sheet's coordinates, y
        downwards; the side of a cell, in the drawings' units; and the size of the grid.
    """
    columns = columns or max(1, math.ceil(math.sqrt(len(drawings))))
    rows = max(1, math.ceil(len(drawings) / columns))
    found = [to_lines(drawing) for drawing in drawings]
    corners = []
    for lines in found:
        points = np.concatenate(lines) if lines else np.zeros([1, 2])
        corners.append((points.min(axis=0), points.max(axis=0)))
    sizes = np.array([(high - low).max() for low, high in corners])
    most = 2 * np.median(sizes) or sizes.max() or 1.0
    cell = (min(most, sizes.max()) or 1.0) / (1 - 2 * MARGIN)
    cells = []
    for number, (lines, (low, high)) in enumerate(zip(found, corners)):
        middle = (np.array([number % columns, number // columns]) + 0.5) * cell
        scale = min(1.0, most / sizes[number]) if sizes[number] else 1.0
        cells.append([(line - (low + high) / 2) * scale + middle for line in lines])
    return cells, cell, columns, rows


def svg_sheet(drawings, titles=None, columns=None):
    """Returns a sheet of drawings as the text of an SVG file, one path for each drawing.

    Args:
        drawings: List of arrays `(points, 3)` of dx, dy, pen.
        titles: Optional list of texts, shown when the mouse is over a drawing.
        columns: Number of columns; None makes the sheet about square.
    """
    cells, cell, columns, rows = lay_out(drawings, columns)
    width, height = columns * cell, rows * cell
    scale = 96 / cell  # a cell is an inch
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.7g} {height:.7g}" '
        f'width="{width * scale:.0f}" height="{height * scale:.0f}" style="background:#fff">',
        f'<g fill="none" stroke="{BLACK}" stroke-width="{LINE_WIDTH * cell:.3g}" '
        'stroke-linecap="round" stroke-linejoin="round">',
    ]
    for number, polylines in enumerate(cells):
        data = "".join(_path_data(line) for line in polylines)
        name = f"<title>{escape(str(titles[number]))}</title>" if titles else ""
        lines.append(f'<path d="{data}">{name}</path>')
    return "\n".join([*lines, "</g>", "</svg>", ""])


def _path_data(line):
    words = [f"{x:.7g},{y:.7g}" for x, y in line]
    # A dot is a line to where it is.
    return f"M{words[0]}L{' '.join(words[1:] or words)}"
