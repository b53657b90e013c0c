"""What all pictures have in common: figures of matplotlib, their pixels, colours and labels.

matplotlib is imported when a picture is drawn. Figures are made without pyplot, so that neither a
display nor a program's own figures are touched. The colours are those of Okabe and Ito ("Color
Universal Design", 2008), which people of every colour vision can tell apart.
"""

import io
import warnings

import numpy as np

BLACK, GREY, BLUE, ORANGE = "#222222", "#8a8a8a", "#0072B2", "#D55E00"
COLOURS = (BLUE, ORANGE, "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
WIDTH, DPI = 9.0, 100  # inches, pixels an inch
# A quick figure is as wide as the card that TensorBoard shows it in, 350 pixels, so that its labels
# are as sharp and as large as they are drawn: a point is a pixel.
QUICK_DPI = 72
QUICK_WIDTH = 350 / QUICK_DPI
QUICK_MARGINS = 0.8, 0.12, 0.55, 0.45  # inches: left, right, bottom, top
QUICK_MARKS = 4  # along an axis
FONTS = {False: (7, 8, 10), True: (9, 10, 11)}  # points, if quick: of marks, axes and titles
MOST_FEATURES = 12


def new_figure(width, height, quick=False):
    """Returns an empty matplotlib Figure that needs no display.

    Args:
        width: Inches.
        height: Inches.
        quick: Whether it is laid out by fixed margins and has fewer pixels, which takes half the
            time, where a plot is made again and again, to be looked at in small.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    layout = None if quick else "constrained"
    dpi = QUICK_DPI if quick else DPI
    figure = Figure(figsize=(width, height), dpi=dpi, layout=layout, facecolor="white")
    FigureCanvasAgg(figure)
    if quick:
        left, right, bottom, top = QUICK_MARGINS
        figure.subplots_adjust(
            left=left / width,
            right=1 - right / width,
            bottom=bottom / height,
            top=1 - top / height,
            wspace=0.08,
            hspace=0.2,
        )
    return figure


def to_rgb(figure):
    """Returns a figure's pixels, uint8 `(height, width, 3)`, as TensorBoard takes them."""
    with warnings.catch_warnings():
        # A font without the character of a title draws a box for it; and of some stretches of time
        # there are a few marks more than asked for.
        warnings.filterwarnings("ignore", message="Glyph|AutoDateLocator was unable")
        figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba())[..., :3].copy()


def to_png(figure):
    """Returns a figure as the bytes of a PNG file."""
    out = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")
        # Without the version of matplotlib, so that the same data gives the same file.
        figure.savefig(out, format="png", metadata={"Software": None})
    return out.getvalue()


def decorate(axes, feature, units, label=True, quick=False):
    plain(axes, quick)
    if quick:  # most of the time of a small panel goes into its marks
        axes.tick_params(left=False, bottom=False)
        axes.locator_params("y", nbins=QUICK_MARKS)
    if label:
        axes.set_ylabel(named(feature, units), fontsize=FONTS[quick][1])
    if feature.is_category:
        axes.set_yticks(range(len(feature.levels)), feature.levels)


def named(feature, units):
    unit = (units or {}).get(feature.name)
    return f"{feature.name} ({unit})" if unit else feature.name


def plain(axes, quick=False):
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(GREY)
    axes.grid(True, color="#e6e6e6", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=FONTS[quick][0], colors="#444444")
    axes.yaxis.label.set_size(FONTS[quick][1])


def label_time(axes, dated, quick=False, columns=1):
    if dated:
        from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

        few = {"minticks": 2, "maxticks": QUICK_MARKS + 2 - columns}
        locator = AutoDateLocator(**few if quick else {})
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
        axes.xaxis.get_offset_text().set_size(FONTS[quick][0])
    elif quick:
        axes.locator_params("x", nbins=QUICK_MARKS)
    # At the right, below dates, stands what they have in common.
    place = "left" if dated and quick else "center"
    axes.set_xlabel("time (UTC)" if dated else "position", fontsize=FONTS[quick][1], loc=place)


def legend(figure, axes, quick=False):
    # Above the panels, where it hides no line.
    handles, labels = axes.get_legend_handles_labels()
    place = "upper right" if figure.get_layout_engine() is None else "outside upper right"
    figure.legend(handles, labels, loc=place, ncols=len(labels), fontsize=8, frameon=False,
        handlelength=1.0 if quick else 2.0, columnspacing=0.8 if quick else 2.0,
    )  # fmt: skip


def titled(figure, title):
    if title:
        figure.suptitle(title, fontsize=11, color=BLACK)
    return figure
