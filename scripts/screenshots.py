#!/usr/bin/env python
"""Takes the pictures of TensorBoard that README.md and docs/training.md show.

    pip install '.[docs,profile]'
    python scripts/screenshots.py --out docs/tensorboard

Trains five small models on built-in data, some minutes on two cores, starts TensorBoard on
their logs and goes through its tabs in Chromium. Before it takes a picture of a tab it checks that
what a person should see is there, in the page as it is drawn; if not, the message says what, and
the exit code is not 0. Chromium and its driver are Debian's `chromium` and `chromium-driver`, or
others that are on the PATH.
"""

import contextlib
import dataclasses
import functools
import importlib.util
import io
import json
import re
import shutil
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

from console import Parser, script, some_of

from tfgen.errors import InputError
from tfgen.recipe import Recipe

COMMON = {
    "training.log_every": 10, "training.validate_every": 50, "training.sample_every": 100,
    "training.histogram_every": 50, "training.warmup_steps": 50, "training.validation_batches": 5,
}  # fmt: skip
TEXT = {
    "data.name": "shakespeare", "model.units": 128, "model.layers": 2, "model.embedding": 64,
    "model.dropout": 0.1, "training.steps": 600, "training.batch_size": 32, "training.window": 64,
}  # fmt: skip


def _gru(data, units, steps, batch, window):
    return "gru", {
        "data.name": data, "model.units": units, "model.layers": 1, "training.steps": steps,
        "training.batch_size": batch, "training.window": window, "training.learning_rate": 0.005,
    }  # fmt: skip


# Two texts, whose settings differ in one; series, pen strokes and sound. TensorBoard is pointed at
# one of these folders at a time: a card of what only others have would be empty.
RUNS = {
    "text/lstm-fast": (
        "lstm", {**TEXT, "training.learning_rate": 0.01, "training.profile": "300:305"},
    ),
    "text/lstm-slow": ("lstm", {**TEXT, "training.learning_rate": 0.001}),
    "numbers/gru-weather": _gru("weather", 64, 400, 16, 96),
    "numbers/gru-digits": _gru("pendigits", 96, 600, 32, 32),
    "numbers/gru-drums": _gru("drums", 64, 200, 8, 32),
}  # fmt: skip


# What is drawn on the page, through shadow roots and frames of the same origin.
SEEN = """
function walk(node, visit) {
  visit(node);
  if (node.shadowRoot) walk(node.shadowRoot, visit);
  const body = node.tagName === "IFRAME" && node.contentDocument?.body;
  if (body) walk(body, visit);
  for (const child of node.childNodes) walk(child, visit);
}
function shown(element) {
  const box = element.getBoundingClientRect();
  return box.width > 0 && box.height > 0 && getComputedStyle(element).visibility !== "hidden";
}
function texts() {
  const found = [];
  walk(document.body, node => {
    const parent = node.parentElement;
    if (node.nodeType === 3 && node.data.trim() && parent && shown(parent)
        && !["STYLE", "SCRIPT"].includes(parent.tagName)) found.push(node.data.trim());
  });
  return found.join("\\n");
}
function all(selector) {
  const found = [];
  walk(document.body, node => {
    if (node.nodeType === 1 && node.matches(selector)) found.push(node);
  });
  return found;
}
function named(selector, text) {
  return all(selector).filter(one => shown(one) && one.textContent.trim() === text);
}
function click(element) {
  element?.click();
  return Boolean(element);
}
"""
# What tells that something went wrong, in whatever tab.
WRONG = (
    r"do not match|No [\w ]*data (was|were) found|No dashboards|Failed to|Error |Not found|NaN|"
    r"Matches \(0\)"  # a chart without lines
)
CHROMIUM = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --hide-scrollbars "
    "--disable-background-networking --disable-component-update --disable-sync"
)
WIDTH = 1200
# A picture in the README should not weigh on a clone.
LARGEST = 150_000
PATIENCE = 30  # seconds


class Missing(InputError):
    """Something that should be seen is not there."""


def wait(what, seen):
    until = time.monotonic() + PATIENCE
    while not seen():
        if time.monotonic() > until:
            raise Missing(what)
        time.sleep(0.2)


class Browser:
    """Chromium, whose own files are in the folder `profile`."""

    def __init__(self, profile):
        from selenium import webdriver
        from selenium.webdriver.chrome.service import Service

        options = webdriver.ChromeOptions()
        options.binary_location = _program("chromium", "chromium-browser", "google-chrome")
        for flag in (*CHROMIUM.split(), f"--user-data-dir={profile}"):
            options.add_argument(flag)
        self.driver = webdriver.Chrome(options, Service(_program("chromedriver")))

    def look(self, address, tab, path):
        """Checks a `Tab` of the TensorBoard at an address, and saves a picture of it."""
        self.driver.set_window_size(WIDTH, tab.height)
        self.driver.get("about:blank")  # a change of what follows the # alone would not load anew
        self.driver.get(address + tab.place)
        self.wait_for(*tab.texts)
        if tab.more:
            tab.more(self)
        for each in tab.counts:
            self.count(*each)
        self.in_order(*tab.order)
        time.sleep(tab.pause)
        if found := re.search(f".*({WRONG}).*", self.ask("return texts()")):
            raise Missing(f"a page without '{found[0]}'")
        self.picture(path)

    def ask(self, script, *arguments):
        return self.driver.execute_script(SEEN + script, *arguments)

    def wait(self, what, script, *arguments):
        wait(what, lambda: self.ask(script, *arguments))

    def wait_for(self, *texts):
        for text in texts:
            self.wait(f"the text '{text}'", "return texts().includes(arguments[0])", text)

    def count(self, what, selector, least, condition="shown(one)"):
        """Waits for so many elements of which a condition holds."""
        script = f"return all(arguments[0]).filter(one => {condition}).length >= arguments[1]"
        self.wait(f"{least} {what}", script, selector, least)

    def click(self, selector, text):
        """Clicks on the first element of a text."""
        self.wait(f"'{text}' to click on", "return click(named(...arguments)[0])", selector, text)

    def choose(self, pattern):
        """Chooses an item of a list, which may be closed, so that its items are not drawn."""
        script = """return click(
            all("paper-item").filter(one => one.textContent.trim().match(arguments[0]))[0])"""
        self.wait(f"the item {pattern} of a list", script, pattern)

    def in_order(self, *texts):
        """Checks that texts are on the page from the top down."""
        self.wait_for(*texts)
        script = "return named('*', arguments[0])[0].getBoundingClientRect().top"
        places = [self.ask(script, text) for text in texts]
        if places != sorted(places):
            raise Missing(f"the order {', '.join(texts)}: they are at {places}")

    def picture(self, path):
        """Saves what is in the window with 256 colours, which is enough for what is drawn."""
        from PIL import Image

        image = Image.open(io.BytesIO(self.driver.get_screenshot_as_png())).convert("RGB")
        image.quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)
        if path.stat().st_size > LARGEST:
            raise Missing(f"a picture below {LARGEST:,} bytes: {path} has {path.stat().st_size:,}")


def time_series(page):
    page.click("button", "Settings")  # closes the pane
    # A name with a slash is drawn in two parts.
    for name in ("Loss/loss", "Loss/loss_in_bits_per_token"):
        page.wait(f"a card '{name}'", "return named('card-view *', arguments[0]).length", name)


def audio(page):
    # A sound is fetched when it is played.
    page.wait("sounds", "all('audio').forEach(one => one.load()); return all('audio').length === 4")
    page.count("sounds that play", "audio", 4, "one.duration > 0")


def graphs(page):
    page.choose("^lstm-fast/logs/train$")
    page.wait_for("lstm_0", "lstm_1", "inputs")


def hparams(page):
    shown = ["data.name", "training.learning_rate", "Loss/loss", "Loss/loss_in_bits_per_token"]
    # One at a time: a click draws all anew.
    script = """
        return !click(all("paper-checkbox").filter(one => {
          const name = one.textContent.trim();
          return /^([a-z]+[.]|family$)/.test(name) && one.checked !== arguments[0].includes(name);
        })[0])
    """
    page.wait("the columns to choose", script, shown)
    page.wait_for("shakespeare", "0.010000")
    names = "return /^lstm-fast /m.test(texts()) && /^lstm-slow /m.test(texts())"
    page.wait("the runs' names", names)


def embeddings(page):
    time.sleep(5)  # TensorBoard mixes up two runs if the first one is still on its way
    page.choose("^gru-digits/logs/train$")
    page.wait_for("256")
    page.choose("^class[^]*colors")


def profile(page):
    # Which of its fields it is, the page tells by what is chosen.
    script = """
        const list = all("mat-select").filter(one => one.textContent.trim() === "Overview Page")[0];
        return click(list?.querySelector(".mat-mdc-select-trigger"))
    """
    page.wait("a list of tools", script)
    page.click("mat-option", "Trace Viewer")
    page.wait_for("python", "Nothing selected. Tap stuff.")


@dataclasses.dataclass(frozen=True)
class Tab:
    """What is looked at in a tab of TensorBoard."""

    place: str  # what follows the address, with filters
    height: int  # of the window
    texts: tuple  # that are on the page
    counts: tuple = ()  # (what, selector, least) of elements, and the condition that they fulfil
    order: tuple = ()  # texts that are on the page from the top down
    more: Callable | None = None  # what else is done or seen: a function of the `Browser`
    pause: float = 1.0  # seconds for what moves into its place or is drawn on a canvas
    runs: str = "text"  # the folder of the runs that it is looked at with


GROUPS = ("Loss", "epoch_learning_rate", "gradient_norms", "throughput", "units")
WIDE = "one.getBoundingClientRect().width > 100"
FITS = "one.scrollWidth <= one.clientWidth"
# What is made smaller or larger than it was drawn is hard to read.
AS_DRAWN = "one.naturalWidth > 100 && one.naturalWidth === one.clientWidth"
TABS = {
    "time-series": Tab(
        "#timeseries", 1150,
        ("lstm-fast/logs/validation", "lstm-slow/logs/train", "epoch_learning_rate"),
        (("charts", "line-chart", 3),), GROUPS, time_series, 5.0,
    ),
    "scalars": Tab(
        "#scalars", 1060, ("Loss/loss", "Loss/loss_in_bits_per_token", "epoch_learning_rate"),
        (("lines", "path", 4, WIDE),), GROUPS,
    ),
    "custom-scalars": Tab(
        "#custom_scalars&regexInput=lstm-fast", 1000,
        ("Loss", "loss in bits per token", "gradient norm by layer", "Matches (4)"),
        (("lines", "path", 8, WIDE), ("charts", "tf-custom-scalar-multi-line-chart-card", 10)),
    ),
    "text": Tab(
        "#text&tagFilter=temperature_1", 900, ("samples/temperature_1.0", "600"),
        (("texts", "code", 4), ("texts as wide as their cards", "pre", 4, FITS)),
    ),
    "images": Tab(
        "#images&tagFilter=drawings%7Cforecast", 1400, ("samples/drawings", "samples/forecast"),
        (("pictures of their cards' width", "img", 2, AS_DRAWN),), runs="numbers",
    ),
    "audio": Tab(
        "#audio&regexInput=drums", 700, ("samples/sound", "sample: 4 of 4"), more=audio,
        runs="numbers",
    ),
    "histograms": Tab(
        "#histograms&regexInput=lstm-fast&tagFilter=kernel%7Cunits", 1300,
        ("units/lstm_0", "gradients/head/kernel", "weights/head/kernel"),
        (("curves", "path", 20, WIDE),),
    ),
    "distributions": Tab(
        "#distributions&regexInput=lstm-fast&tagFilter=gradients.*kernel%7Cunits", 800,
        ("units/lstm_0", "gradients/head/kernel"), (("bands", "path", 8, WIDE),),
    ),
    "graphs": Tab("#graphs", 640, ("Main Graph",), more=graphs),
    "hparams": Tab("#hparams", 520, ("training.learning_rate", "Loss/loss"), more=hparams),
    "projector": Tab("#projector", 860, ("Points:",), more=embeddings, pause=6.0, runs="numbers"),
    "profile": Tab("#profile", 1150, ("Sessions (1)", "Overview Page"), more=profile, pause=4.0),
}  # fmt: skip


def take(logdir, out, names):
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True))
        stack.enter_context(contextlib.chdir(logdir))  # pages show the name of the folder as told
        page = Browser(folder)
        stack.callback(page.driver.quit)
        missing = []
        for name in names:
            if name == "profile" and not importlib.util.find_spec("tensorboard_plugin_profile"):
                print("profile left out: pip install '.[profile]'", file=sys.stderr)
                continue
            try:
                page.look(tensorboard(TABS[name].runs), TABS[name], out / f"{name}.png")
                print(out / f"{name}.png", flush=True)
            except Missing as error:
                missing.append(f"{name}: there should be {error}")
    if missing:
        raise Missing("; ".join(missing))


@functools.cache
def tensorboard(logdir):
    """Starts TensorBoard at a free port; returns its address when it has read all runs."""
    from tensorboard import program

    server = program.TensorBoard()
    samples = "images=100,text=100,audio=100"
    server.configure((None, f"--logdir={logdir}", "--port=0", f"--samples_per_plugin={samples}"))
    address = server.launch()
    runs = {path.parent.relative_to(logdir).as_posix() for path in Path(logdir).rglob("*tfevents*")}

    def ready():
        with urllib.request.urlopen(f"{address}data/plugin/scalars/tags") as found:
            tags = json.load(found)
        return all("Loss/loss" in tags.get(run, {}) for run in runs)

    wait("the loss of every run in TensorBoard", ready)  # a page does not look again by itself
    return address


def _program(*names):
    for name in names:
        if path := shutil.which(name):
            return path
    raise InputError(f"{names[0]} is not installed: apt-get install chromium chromium-driver")


@script
def main(argv):
    from tfgen.training import train

    parser = Parser(__doc__)
    add = parser.add_argument
    add("--out", default="docs/tensorboard", help="folder of the pictures (docs/tensorboard)")
    add("--logdir", help="leaves the runs in this folder, and takes those that are there")
    add("--tabs", **some_of("tab", TABS))
    arguments = parser.parse_args(argv)
    out = Path(arguments.out).resolve()
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        logdir = Path(arguments.logdir or folder)
        for name in (name for name in RUNS if not (logdir / name / "final").is_dir()):
            print(f"training {name}", file=sys.stderr, flush=True)
            family, settings = RUNS[name]
            train(Recipe(family).override({**COMMON, **settings}), logdir / name, progress=False)
        take(logdir, out, arguments.tabs)


if __name__ == "__main__":
    sys.exit(main())
