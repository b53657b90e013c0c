"""Pictures show what they are made of: their pixels are looked at."""

import subprocess
import sys

import numpy as np
import pytest

from tfgen.data.sequences import Feature
from tfgen.data.strokes import to_deltas
from tfgen.report import comparisons, series
from tfgen.report.comparisons import (
    autocorrelation,
    autocorrelation_figure,
    marginal_figure,
    principal_components,
    windows_figure,
)
from tfgen.report.drawings import MARGIN, lay_out, stroke_sheet
from tfgen.report.figures import BLACK, BLUE, COLOURS, ORANGE, new_figure, to_png, to_rgb
from tfgen.report.series import forecast_figure, series_figure
from tfgen.report.sounds import sound_figure, spectrogram

pytest.importorskip("matplotlib")

NUMBERS = (Feature("temp"), Feature("humid", low=0, high=100))
SKY = (Feature("sky", levels=("clear", "cloudy", "rain")),)


def colour(text):
    return np.array([int(text[i : i + 2], 16) for i in (1, 3, 5)])


def where(rgb, text, tolerance=12):
    """Which pixels have a colour, bool `(height, width)`."""
    return (np.abs(rgb.astype(int) - colour(text)) <= tolerance).all(axis=-1)


def texts(figure):
    """Every text in a figure."""
    from matplotlib.text import Text

    figure.canvas.draw()
    return {found.get_text() for found in figure.findobj(Text)} - {""}


def panel(figure, number, rgb):
    """The pixels of one of a figure's axes."""
    box = figure.axes[number].get_window_extent()
    height = len(rgb)
    return rgb[round(height - box.y1) : round(height - box.y0), round(box.x0) : round(box.x1)]


def test_pixels_are_bytes_of_the_figures_size():
    rgb = to_rgb(new_figure(3, 2))
    assert rgb.shape == (200, 300, 3) and rgb.dtype == np.uint8
    assert (rgb == 255).all()
    assert to_png(new_figure(3, 2)).startswith(b"\x89PNG")


def test_the_same_figure_is_the_same_file():
    def png():
        return to_png(series_figure([np.zeros([5, 2])], NUMBERS))

    assert png() == png()
    assert b"matplotlib" not in png().lower()


def test_matplotlib_is_imported_when_something_is_drawn():
    code = "import sys, tfgen.report.output; print('matplotlib' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"


# Series


def test_a_series_is_a_line_where_its_values_are():
    rise = np.stack([np.linspace(0, 1, 50), np.linspace(1, 0, 50)], axis=1)
    figure = series_figure([rise], NUMBERS)
    rgb = to_rgb(figure)
    for number, sign in ((0, -1), (1, 1)):
        rows, columns = np.nonzero(where(panel(figure, number, rgb), COLOURS[0], 60))
        # Rows count downwards.
        assert np.corrcoef(rows, columns)[0, 1] * sign > 0.99


def test_a_gap_is_no_line_and_a_lone_value_a_dot():
    values = np.zeros([30, 1])
    values[10:20] = np.nan
    values[15] = 0

    def columns(values):
        figure = series_figure([values], NUMBERS[:1])
        found = where(panel(figure, 0, to_rgb(figure)), COLOURS[0], 60)
        return found.any(axis=0)

    found = columns(values)
    edges = np.flatnonzero(np.diff(found.astype(int)))
    assert len(edges) == 6, "a line, a dot and a line"
    width = len(found)
    assert found[width // 4] and not found[int(0.42 * width)] and found[int(0.77 * width)]
    assert columns(np.zeros([30, 1])).sum() > 1.3 * found.sum()


@pytest.mark.long
def test_series_are_labelled_and_real_ones_stand_beside():
    samples = [np.zeros([4, 2]), np.ones([4, 2])]
    alone = series_figure(samples, NUMBERS, units={"temp": "°C"}, title="Weather")
    assert {"temp (°C)", "humid", "Weather", "position"} <= texts(alone)
    assert len(alone.axes) == 2 and "generated" not in texts(alone)
    beside = series_figure(samples, NUMBERS, real=[np.zeros([4, 2])])
    assert len(beside.axes) == 4 and {"real", "generated"} <= texts(beside)
    rgb = to_rgb(beside)
    assert where(panel(beside, 0, rgb), BLACK, 30).any()
    assert not where(panel(beside, 0, rgb), COLOURS[1], 30).any()
    assert where(panel(beside, 1, rgb), COLOURS[1], 30).any()
    # One scale for both.
    assert beside.axes[0].get_ylim() == beside.axes[1].get_ylim()


def test_series_with_times_show_them():
    times = [np.arange(4) * 3600 + 1357020000]  # from 2013-01-01 06:00
    figure = series_figure([np.zeros([4, 2])], NUMBERS, times=times)
    found = texts(figure)
    assert "time (UTC)" in found and any("2013-Jan-01" in text for text in found)
    assert "06:00" in found


def test_a_category_has_its_levels_beside():
    figure = series_figure([np.array([[0.0], [2.0], [1.0]])], SKY)
    assert {"clear", "cloudy", "rain", "sky"} <= texts(figure)


# Forecasts


def fan(**options):
    history = np.linspace(0, 1, 40)[:, None]
    median = np.ones([20, 1])
    quantiles = {0.1: median - 1, 0.5: median, 0.9: median + 1}
    return forecast_figure(history, median, quantiles, NUMBERS[:1], **options)


def test_a_forecast_is_a_fan_after_its_history():
    figure = fan(truth=np.full([20, 1], 1.5), units={"temp": "°C"}, title="A day ahead")
    names = {"history", "median", "truth", "10% to 90%"}
    assert names | {"temp (°C)", "A day ahead"} <= texts(figure)
    image = panel(figure, 0, to_rgb(figure))
    width = image.shape[1]
    line = where(image, BLACK, 30)
    median = where(image, BLUE, 60)
    truth = where(image, ORANGE, 60)
    # The history fills the first two thirds, the rest the last.
    assert line[:, : int(0.6 * width)].any() and not line[2:-2, int(0.72 * width) : -2].any()
    for found in (median, truth):
        assert not found[:, : int(0.6 * width)].any() and found[:, int(0.72 * width) :].any()
    # The truth at 1.5 runs above the median at 1, and both within the band from 0 to 2.
    upper, lower = (np.nonzero(found)[0].mean() for found in (truth, median))
    tint = image[:, int(0.85 * width)].astype(int)
    band = np.flatnonzero((tint[:, 2] - tint[:, 0] > 20) & (tint[:, 0] > 150))
    assert band.min() < upper < lower < band.max()


def test_pairs_of_quantiles_are_nested_bands():
    figure = forecast_figure(
        np.zeros([4, 1]),
        np.zeros([4, 1]),
        {level: np.full([4, 1], level) for level in (0.9, 0.1, 0.25, 0.75, 0.5)},
        NUMBERS[:1],
    )
    found = texts(figure)
    assert {"10% to 90%", "25% to 75%"} <= found
    assert not any("50% to" in text for text in found) and "truth" not in found


def test_a_forecast_without_history_or_with_times():
    figure = forecast_figure(np.zeros([0, 1]), np.zeros([3, 1]), {}, NUMBERS[:1])
    assert to_rgb(figure).any()
    times = np.arange(60) * 3600
    assert "time (UTC)" in texts(fan(times=times)) and "time (UTC)" not in texts(fan())


def test_a_quick_picture_has_fewer_pixels_and_says_the_same():
    slow, quick = fan(truth=np.full([20, 1], 1.5)), fan(truth=np.full([20, 1], 1.5), quick=True)
    said = {"history", "median", "truth", "10% to 90%", "temp"}
    assert said <= texts(slow) and said <= texts(quick)
    shapes = [np.array(to_rgb(figure).shape[:2]) for figure in (slow, quick)]
    assert shapes[1].prod() < 0.3 * shapes[0].prod()
    assert panel(quick, 0, to_rgb(quick)).shape[1] > 0.8 * shapes[1][1]


# Strokes


def test_drawings_lie_in_their_cells_to_one_scale():
    horizontal = to_deltas([[[0, 0], [8, 0]]])
    vertical = to_deltas([[[0, 0], [0, 4]]])
    cells, cell, columns, rows = lay_out([horizontal, vertical, horizontal], columns=2)
    assert (columns, rows) == (2, 2)
    assert cell == pytest.approx(8 / (1 - 2 * MARGIN))
    np.testing.assert_allclose(cells[0][0], [[cell / 2 - 4, cell / 2], [cell / 2 + 4, cell / 2]])
    np.testing.assert_allclose(
        cells[1][0], [[1.5 * cell, cell / 2 - 2], [1.5 * cell, cell / 2 + 2]]
    )
    assert cells[2][0][0, 1] == pytest.approx(1.5 * cell)
    assert lay_out([horizontal] * 10)[2:] == (4, 3)


def test_a_drawing_that_ran_away_is_shrunk():
    small, huge = to_deltas([[[0, 0], [1, 0]]]), to_deltas([[[0, 0], [1000, 0]]])
    cells, cell, *_ = lay_out([small, small, huge])
    assert np.ptp(cells[2][0][:, 0]) == pytest.approx(2)
    assert cell == pytest.approx(2 / (1 - 2 * MARGIN))
    cells, cell, *_ = lay_out([huge])
    assert np.ptp(cells[0][0][:, 0]) == pytest.approx(1000)


def test_ink_is_where_the_pen_was_down():
    # A bar at the top, and one at the bottom: the pen is lifted in between.
    two = to_deltas([[[0, 0], [10, 0]], [[10, 10], [0, 10]]])
    ink = where(to_rgb(stroke_sheet([two])), BLACK, 90)
    rows = np.flatnonzero(ink.any(axis=1)) / len(ink)
    assert ((rows > 0.08) & (rows < 0.2) | (rows > 0.8) & (rows < 0.92)).all()
    joined = two.copy()
    joined[1, 2] = 0
    ink = where(to_rgb(stroke_sheet([joined])), BLACK, 90)
    height, width = ink.shape
    assert ink[height // 2, int(0.8 * width) :].any(), "the stroke between, at the right"
    assert not ink[height // 2, : width // 2].any()


def test_drawings_stand_upright():
    # A stroke down, then one to the right: an L, whose foot is at the bottom.
    foot = to_deltas([[[0, 0], [0, 10], [10, 10]]])
    ink = where(to_rgb(stroke_sheet([foot])), BLACK, 90)
    height, width = ink.shape
    assert ink[height // 2 :, width // 2].any() and not ink[: height // 2, width // 2].any()
    assert ink[height // 2, : width // 2].any() and not ink[height // 2, width // 2 :].any()


def test_a_dot_a_title_and_a_blank_are_drawn():
    dot, blank = to_deltas([[[3, 3]]]), np.zeros([0, 3])
    figure = stroke_sheet([dot, blank], titles=["a", "b"], title="Sheet")
    assert {"a", "b", "Sheet"} <= texts(figure)
    ink = where(panel(figure, 0, to_rgb(figure)), BLACK, 90)
    width = ink.shape[1]
    assert ink[:, : width // 2].any() and not ink[:, width // 2 :].any()


# Sound


def test_a_tone_is_a_bright_line_at_its_frequency():
    rate = 8000
    sound = np.sin(2 * np.pi * 1000 * np.arange(rate) / rate)
    loudness = spectrogram(sound, window=256, hop=64)
    assert loudness.shape == (rate // 64 + 1, 129)
    assert (np.argmax(loudness[4:-4], axis=1) == 1000 / rate * 256).all()
    assert loudness.max() == pytest.approx(0) and loudness.min() >= -80
    # Far from the line, a Hann window has fallen off.
    assert loudness[10:-10, 80:].max() < -60
    assert (spectrogram(np.zeros(500)) == -80).all()
    assert spectrogram(np.zeros(10)).shape[1] == 129


def test_a_sound_is_loud_where_it_is_loud():
    sound = np.zeros([4000, 1], np.float32)
    sound[:2000, 0] = 0.8 * np.sin(np.arange(2000))
    figure = sound_figure([sound, sound[:1000]], 8000, titles=["clap", "hum"], title="S")
    assert {"clap", "hum", "S", "amplitude", "kHz", "seconds"} <= texts(figure)
    rgb = to_rgb(figure)
    wave = where(panel(figure, 0, rgb), BLUE, 40)
    width = wave.shape[1]
    assert wave[:, : width // 3].sum() > 5 * wave[:, 2 * width // 3 :].sum()
    spectrum = panel(figure, 1, rgb).astype(int)
    # cividis runs from dark blue to yellow.
    assert spectrum[:, : width // 3].mean() > spectrum[:, 2 * width // 3 : -4].mean() + 10
    assert figure.axes[1].get_ylim() == (0, 4)


# Comparisons


def test_autocorrelation_is_numpys_and_leaves_out_what_is_missing():
    rng = np.random.default_rng(0)
    values = np.cumsum(rng.normal(size=(200, 2)), axis=0)
    found = autocorrelation(values, 5)
    centred = values[:, 0] - values[:, 0].mean()
    for lag in range(6):
        first, second = centred[: 200 - lag], centred[lag:]
        norms = np.linalg.norm(first) * np.linalg.norm(second)
        assert found[lag, 0] == pytest.approx(first @ second / norms)
    period = np.tile([1.0, -1.0], 50)[:, None]
    np.testing.assert_allclose(autocorrelation(period, 3)[:, 0], [1, -1, 1, -1])
    period[10:30] = np.nan
    np.testing.assert_allclose(autocorrelation(period, 3)[:, 0], [1, -1, 1, -1])
    short = autocorrelation(np.array([[1.0], [2.0]]), 3)[:, 0]
    assert np.isnan(short[2:]).all() and not np.isnan(short[:2]).any()
    assert np.isnan(autocorrelation(np.ones([5, 1]), 2)).all()


def test_windows_are_points_on_the_components_of_the_real_ones():
    rng = np.random.default_rng(0)
    real = rng.normal(size=(60, 5, 2)) * [1, 9]
    rows = np.concatenate([real.reshape(60, -1), np.full([3, 10], 7.0)])
    places = principal_components(rows, 60)
    values, vectors = np.linalg.eigh(np.cov(rows[:60].T))
    np.testing.assert_allclose(np.var(places[:60], axis=0, ddof=1), values[::-1][:2])
    expected = (rows - rows[:60].mean(axis=0)) @ vectors[:, ::-1][:, :2]
    np.testing.assert_allclose(np.abs(places), np.abs(expected))
    assert principal_components(np.ones([4, 1]), 3).shape == (4, 2)


def test_windows_are_drawn_without_scikit_learn_too(monkeypatch):
    real, generated = np.random.default_rng(0).normal(size=(2, 20, 4, 1))
    pytest.importorskip("sklearn")
    figure = windows_figure(real, generated)
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == ["principal components", "t-SNE"]
    for axes in figure.axes:
        assert [len(points.get_offsets()) for points in axes.collections] == [20, 20]
    monkeypatch.setitem(sys.modules, "sklearn.manifold", None)
    assert len(windows_figure(real, generated).axes) == 1


def test_comparisons_draw_both_sides():
    rng = np.random.default_rng(0)
    real = [rng.normal(size=(200, 2)) for _ in range(3)]
    samples = [rng.normal(5, 1, size=(200, 2)) for _ in range(3)]
    for figure in (
        autocorrelation_figure(samples, real, NUMBERS, max_lag=10, title="A"),
        marginal_figure(samples, real, NUMBERS, bins=20, title="A"),
    ):
        assert {"real", "generated", "A"} <= texts(figure)
        rgb = to_rgb(figure)
        for number in range(2):
            image = panel(figure, number, rgb)
            assert where(image, BLACK, 40).any() and where(image, ORANGE, 40).any()
    assert autocorrelation_figure(samples, real, NUMBERS, 10).axes[0].get_xlim()[1] < 11


def test_marginals_are_densities_with_the_bins_of_the_real_values():
    real = [np.linspace(0, 1, 1001)[:, None]]
    figure = marginal_figure(real, real, NUMBERS[:1], {"temp": "°C"}, bins=7)
    [truth, other] = figure.axes[0].patches
    heights, edges, _ = truth.get_data()
    assert len(heights) == 7 and "temp (°C)" in texts(figure)
    assert edges[0] == pytest.approx(-0.2, abs=0.01) and edges[-1] == pytest.approx(1.2, abs=0.01)
    assert (heights * np.diff(edges)).sum() == pytest.approx(1, abs=0.01)
    np.testing.assert_array_equal(other.get_data()[0], heights)


def test_marginals_of_a_category_are_shares():
    real, samples = [np.array([[0.0], [0], [1], [np.nan]])], [np.array([[2.0]])]
    figure = marginal_figure(samples, real, SKY)
    heights = [bar.get_height() for bar in figure.axes[0].patches]
    assert heights == pytest.approx([2 / 3, 1 / 3, 0, 0, 0, 1])
    assert {"clear", "cloudy", "rain"} <= texts(figure)


def test_of_many_features_the_first_are_drawn(monkeypatch):
    for module in (series, comparisons):
        monkeypatch.setattr(module, "MOST_FEATURES", 3)
    features = tuple(Feature(f"x{number}") for number in range(5))
    values = [np.zeros([3, 5])]
    assert len(series_figure(values, features).axes) == 3
    found = texts(marginal_figure(values, values, features))
    assert "x2" in found and "x3" not in found


def test_a_quick_figure_is_legible_in_a_card_and_has_dates():
    hours = np.datetime64("2013-07-01T00", "s").astype(np.int64) + 3600 * np.arange(96)
    values = np.stack([np.arange(96.0), np.sin(np.arange(96.0))], axis=1)
    lines = series_figure(
        [values], NUMBERS, real=[values], times=[hours], real_times=[hours], quick=True
    )
    quantiles = {0.1: values[72:], 0.9: values[72:]}
    forecast = forecast_figure(
        values[:72], values[72:], quantiles, NUMBERS, times=hours, quick=True
    )
    for figure in (lines, forecast):
        pixels = to_rgb(figure)
        assert pixels.shape[1] == 350  # as wide as in a card of TensorBoard: each pixel is one
        for axes in figure.axes:
            marks = [*axes.get_xticklabels(), *axes.get_yticklabels()]
            assert all(mark.get_fontsize() * figure.dpi / 72 >= 9 for mark in marks)
        last = figure.axes[-1]
        assert last.get_xlabel() == "time (UTC)"
        shown = [mark.get_text() for mark in last.get_xticklabels()]
        assert 1 <= len(shown) <= 5 and any("Jul" in text or text.isdigit() for text in shown)
    sounds = sound_figure([np.zeros([400, 1])], 8000, quick=True)
    assert to_rgb(sounds).shape[1] == 350
    line = np.array([[3, 0, 0], [3, 4, 1]])
    sheet = stroke_sheet([line] * 9, titles=["digit"] * 9, quick=True)
    assert to_rgb(sheet).shape == (350, 350, 3)
    assert all(label.get_fontsize() * sheet.dpi / 72 >= 9 for label in sheet.axes[0].texts)
