#!/usr/bin/env python
"""Takes the pictures of TensorBoard that README.md and docs/training.md show.

    pip install '.[docs,profile]'
    python scripts/screenshots.py --out docs/tensorboard

Trains five small models on built-in data, some minutes on two cores, starts TensorBoard on
their logs and goes through its tabs in Chromium. Of each tab it checks that what a person should
see is there, in the page as it is drawn, before it takes a picture of it. The exit code is 1 if
something is not there, and the message says what.

With --logdir the pictures are of runs that are there: it must hold those that --keep once left.
Chromium and its driver are Debian's `chromium` and `chromium-driver`, or others that are on the
PATH.
"""

import argparse
import contextlib
import importlib.util
import json
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # a checkout that is not installed

from tfgen.errors import InputError  # noqa: E402
from tfgen.recipe import Recipe  # noqa: E402

COMMON = {
    "training.log_every": 10, "training.validate_every": 50, "training.sample_every": 100,
    "training.histogram_every": 50, "training.warmup_steps": 50, "training.validation_batches": 5,
}  # fmt: skip
TEXT = {
    "data.name": "shakespeare", "model.units": 128, "model.layers": 2, "model.embedding": 64,
    "model.dropout": 0.1, "training.steps": 600, "training.batch_size": 32, "training.window": 64,
}  # fmt: skip
# Two texts, whose settings differ in one; series, pen strokes and sound. TensorBoard is pointed at
# one of these folders at a time: a card of what only others have would be empty.
RUNS = {
    "text/lstm-fast": (
        "lstm",
        {**TEXT, "training.learning_rate": 0.01, "training.profile": "300:305"},
    ),
    "text/lstm-slow": ("lstm", {**TEXT, "training.learning_rate": 0.001}),
    "numbers/gru-weather": (
        "gru",
        {
            "data.name": "weather", "model.units": 64, "model.layers": 1, "training.steps": 400,
            "training.batch_size": 16, "training.window": 96, "training.learning_rate": 0.005,
        },
    ),
    "numbers/gru-digits": (
        "gru",
        {
            "data.name": "pendigits", "model.units": 96, "model.layers": 1, "training.steps": 600,
            "training.batch_size": 32, "training.window": 32, "training.learning_rate": 0.005,
        },
    ),
    "numbers/gru-drums": (
        "gru",
        {
            "data.name": "drums", "model.units": 64, "model.layers": 1, "training.steps": 200,
            "training.batch_size": 8, "training.window": 32, "training.learning_rate": 0.005,
        },
    ),
}  # fmt: skip


def train_all(folder):
    from tfgen.training import train

    for name, (family, settings) in RUNS.items():
        print(f"training {name}", file=sys.stderr, flush=True)
        train(Recipe(family).override({**COMMON, **settings}), folder / name, progress=False)


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
"""
# What tells that something went wrong, in whatever tab.
WRONG = r"do not match|No [\w ]*data (was|were) found|No dashboards|Failed to|Error |Not found|NaN"
CHROMIUM = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --hide-scrollbars "
    "--disable-background-networking --disable-component-update --disable-sync"
)
WIDTH = 1200
# A picture in the README should not weigh on a clone.
LARGEST = 150_000
PATIENCE = 30  # seconds


class Missing(Exception):
    """Something that should be seen is not there."""


class Browser:
    """Chromium before a TensorBoard.

    Args:
        profile: An empty folder for the browser's own files.

    Attributes:
        address: Of TensorBoard.
    """

    def __init__(self, profile):
        from selenium import webdriver
        from selenium.webdriver.chrome.service import Service

        options = webdriver.ChromeOptions()
        options.binary_location = _program("chromium", "chromium-browser", "google-chrome")
        for flag in CHROMIUM.split():
            options.add_argument(flag)
        options.add_argument(f"--user-data-dir={profile}")
        self.address = None
        self.driver = webdriver.Chrome(options, Service(_program("chromedriver")))

    def open(self, place, height):
        self.driver.set_window_size(WIDTH, height)
        self.driver.get("about:blank")  # a change of what follows the # alone would not load anew
        self.driver.get(self.address + place)

    def ask(self, script, *arguments):
        return self.driver.execute_script(SEEN + script, *arguments)

    def wait(self, what, script, *arguments):
        """Waits until a script gives what counts as true, and returns it."""
        until = time.monotonic() + PATIENCE
        while not (found := self.ask(script, *arguments)):
            if time.monotonic() > until:
                raise Missing(what)
            time.sleep(0.2)
        return found

    def wait_for(self, *texts):
        for text in texts:
            self.wait(f"the text '{text}'", "return texts().includes(arguments[0])", text)

    def count(self, what, selector, least, condition="shown(one)"):
        """Waits for so many elements of which a condition holds."""
        script = f"return all(arguments[0]).filter(one => {condition}).length >= arguments[1]"
        self.wait(f"{least} {what}", script, selector, least)

    def click(self, selector, text):
        """Clicks on the first element of a text."""
        script = "const one = named(...arguments)[0]; if (one) one.click(); return Boolean(one)"
        self.wait(f"'{text}' to click on", script, selector, text)

    def in_order(self, *texts):
        """Checks that texts are on the page from the top down."""
        self.wait_for(*texts)
        script = "return named('*', arguments[0])[0].getBoundingClientRect().top"
        places = [self.ask(script, text) for text in texts]
        if places != sorted(places):
            raise Missing(f"the order {', '.join(texts)}: they are at {places}")

    def check(self):
        if found := re.search(f".*({WRONG}).*", self.ask("return texts()")):
            raise Missing(f"a page without '{found[0]}'")

    def picture(self, path):
        """Saves what is in the window with 256 colours, which is enough for what is drawn."""
        import io

        from PIL import Image

        image = Image.open(io.BytesIO(self.driver.get_screenshot_as_png())).convert("RGB")
        image.quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)
        if path.stat().st_size > LARGEST:
            raise Missing(f"a picture below {LARGEST:,} bytes: {path} has {path.stat().st_size:,}")

    def close(self):
        self.driver.quit()


def time_series(page):
    page.open("#timeseries", 1150)
    page.click("button", "Settings")  # closes the pane
    page.wait_for("lstm-fast/logs/validation", "lstm-slow/logs/train", "epoch_learning_rate")
    # A name with a slash is drawn in two parts.
    for name in ("Loss/loss", "Loss/loss_in_bits_per_token"):
        page.wait(f"a card '{name}'", "return named('card-view *', arguments[0]).length", name)
    page.count("charts", "line-chart", 3)
    page.in_order("Loss", "epoch_learning_rate", "gradient_norms", "throughput", "units")
    time.sleep(4)  # lines are drawn on a canvas


def scalars(page):
    page.open("#scalars", 1060)
    page.wait_for("Loss/loss", "Loss/loss_in_bits_per_token", "epoch_learning_rate")
    page.count("lines", "path", 4, "one.getBoundingClientRect().width > 100")
    page.in_order("Loss", "epoch_learning_rate", "gradient_norms", "throughput", "units")


def custom_scalars(page):
    page.open("#custom_scalars&regexInput=lstm-fast", 1000)
    page.wait_for("Loss", "loss in bits per token", "gradient norm by layer", "Matches (4)")
    page.count("lines", "path", 8, "one.getBoundingClientRect().width > 100")
    # All of its charts have lines.
    page.count("charts", "tf-custom-scalar-multi-line-chart-card", 10)
    if "Matches (0)" in page.ask("return texts()"):
        raise Missing("no chart without lines")


def text(page):
    page.open("#text&tagFilter=temperature_1", 900)
    page.wait_for("samples/temperature_1.0", "600")
    page.count("texts", "code", 4)
    page.count("texts as wide as their cards", "pre", 4, "one.scrollWidth <= one.clientWidth")


def images(page):
    page.open("#images&tagFilter=drawings%7Cforecast", 1400)
    page.wait_for("samples/drawings", "samples/forecast")
    # As they were drawn: what is made smaller or larger is hard to read.
    as_drawn = "one.naturalWidth > 100 && one.naturalWidth === one.clientWidth"
    page.count("pictures of their cards' width", "img", 2, as_drawn)


def audio(page):
    page.open("#audio&regexInput=drums", 700)
    page.wait_for("samples/sound", "sample: 4 of 4")
    # A sound is fetched when it is played.
    page.wait("sounds", "all('audio').forEach(one => one.load()); return all('audio').length === 4")
    page.count("sounds that play", "audio", 4, "one.duration > 0")


def histograms(page):
    page.open("#histograms&regexInput=lstm-fast&tagFilter=kernel%7Cunits", 1300)
    page.wait_for("units/lstm_0", "gradients/head/kernel", "weights/head/kernel")
    page.count("curves", "path", 20, "one.getBoundingClientRect().width > 100")


def distributions(page):
    page.open("#distributions&regexInput=lstm-fast&tagFilter=gradients.*kernel%7Cunits", 800)
    page.wait_for("units/lstm_0", "gradients/head/kernel")
    page.count("bands", "path", 8, "one.getBoundingClientRect().width > 100")


def graphs(page):
    page.open("#graphs", 640)
    page.wait_for("Main Graph")
    page.wait(
        "the run lstm-fast",
        """
        const one = all("paper-item").filter(one => one.textContent.trim() === arguments[0])[0];
        if (one) one.click();
        return Boolean(one)
        """,
        "lstm-fast/logs/train",
    )
    page.wait_for("lstm_0", "lstm_1", "inputs")


def hparams(page):
    page.open("#hparams", 520)
    page.wait_for("training.learning_rate", "Loss/loss")
    shown = ["data.name", "training.learning_rate", "Loss/loss", "Loss/loss_in_bits_per_token"]
    # One at a time: a click draws all anew.
    page.wait(
        "the columns to choose",
        """
        const wrong = all("paper-checkbox").filter(one => {
          const name = one.textContent.trim();
          return /^([a-z]+[.]|family$)/.test(name) && one.checked !== arguments[0].includes(name);
        });
        if (wrong.length) wrong[0].click();
        return !wrong.length
        """,
        shown,
    )
    page.wait_for("shakespeare", "0.010000")
    page.wait(
        "the runs' names", "return /^lstm-fast /m.test(texts()) && /^lstm-slow /m.test(texts())"
    )


def embeddings(page):
    page.open("#projector", 860)
    page.wait_for("Points:")
    time.sleep(5)  # TensorBoard mixes up two runs if the first one is still on its way
    choose = """
        const one = all("paper-item").filter(one => one.textContent.trim().match(arguments[0]))[0];
        if (one) one.click();
        return Boolean(one)
    """
    page.wait("the run gru-digits", choose, "^gru-digits/logs/train$")
    page.wait_for("256")
    page.wait("classes to colour by", choose, "^class[^]*colors")
    time.sleep(5)  # points move to their places


def profile(page):
    page.open("#profile", 1150)
    page.wait_for("Sessions (1)", "Overview Page")
    # Which of its fields it is, the page tells by what is chosen.
    page.wait(
        "a list of tools",
        """
        const list = all("mat-select").filter(one => one.textContent.trim() === "Overview Page")[0];
        if (list) list.querySelector(".mat-mdc-select-trigger").click();
        return Boolean(list)
        """,
    )
    page.click("mat-option", "Trace Viewer")
    page.wait_for("python", "Nothing selected. Tap stuff.")
    time.sleep(3)  # it is drawn on a canvas


# Of each tab: the folder of the runs that it is looked at with, and how.
TABS = {
    "time-series": ("text", time_series),
    "scalars": ("text", scalars),
    "custom-scalars": ("text", custom_scalars),
    "text": ("text", text),
    "images": ("numbers", images),
    "audio": ("numbers", audio),
    "histograms": ("text", histograms),
    "distributions": ("text", distributions),
    "graphs": ("text", graphs),
    "hparams": ("text", hparams),
    "projector": ("numbers", embeddings),
    "profile": ("text", profile),
}


def take(logdir, out, names):
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True))
        page = Browser(folder)
        stack.callback(page.close)
        missing, addresses = [], {}
        for name in names:
            if name == "profile" and not importlib.util.find_spec("tensorboard_plugin_profile"):
                print("profile left out: pip install '.[profile]'", file=sys.stderr)
                continue
            runs, look = TABS[name]
            if runs not in addresses:
                addresses[runs] = stack.enter_context(tensorboard(Path(logdir, runs)))
            page.address = addresses[runs]
            try:
                look(page)
                time.sleep(1)  # what moves into its place
                page.check()
                page.picture(out / f"{name}.png")
            except Missing as error:
                missing.append(f"{name}: there should be {error}")
            else:
                print(out / f"{name}.png", flush=True)
    if missing:
        raise Missing("; ".join(missing))


@contextlib.contextmanager
def tensorboard(logdir):
    """TensorBoard at a free port; gives its address."""
    # The pages show the name of the folder as it is told.
    logdir = Path(logdir).resolve()
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", logdir.name, "--port", "0"]
    command += ["--samples_per_plugin", "images=100,text=100,audio=100"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=logdir.parent)
    try:
        for line in process.stderr:
            if found := re.search(r"http://\S+", line):
                # Whoever does not read what it writes would stop it in the end.
                threading.Thread(target=process.stderr.read, daemon=True).start()
                _wait_for_runs(found[0], logdir)
                yield found[0]
                return
        raise InputError(f"TensorBoard did not start: {' '.join(map(str, command))}")
    finally:
        process.terminate()
        process.wait()


def _wait_for_runs(address, logdir):
    """Waits until TensorBoard has read all runs: a page does not look again by itself."""
    runs = {path.parent.relative_to(logdir).as_posix() for path in logdir.rglob("*tfevents*")}
    until = time.monotonic() + PATIENCE
    while True:
        with urllib.request.urlopen(f"{address}data/plugin/scalars/tags") as found:
            tags = json.load(found)
        late = [run for run in runs if "Loss/loss" not in tags.get(run, {})]
        if not late:
            return
        if time.monotonic() > until:
            raise Missing(f"the loss of {', '.join(late)} in TensorBoard")
        time.sleep(0.5)


def _program(*names):
    for name in names:
        if path := shutil.which(name):
            return path
    raise InputError(f"{names[0]} is not installed: apt-get install chromium chromium-driver")


def main(argv=None):
    parser = argparse.ArgumentParser(
        prog="screenshots.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--out", default="docs/tensorboard", help="folder of the pictures (docs/tensorboard)")
    add("--logdir", help="runs that are there, of an earlier --keep")
    add("--keep", metavar="FOLDER", help="leave the runs in this folder")
    add("--tabs", nargs="+", choices=TABS, default=[*TABS], metavar="TAB", help=", ".join(TABS))
    arguments = parser.parse_args(argv)
    out = Path(arguments.out)
    out.mkdir(parents=True, exist_ok=True)
    try:
        if arguments.logdir:
            take(arguments.logdir, out, arguments.tabs)
            return 0
        with tempfile.TemporaryDirectory() as folder:
            folder = Path(arguments.keep or Path(folder, "runs"))
            train_all(folder)
            take(folder, out, arguments.tabs)
    except (InputError, Missing) as error:
        print(f"screenshots.py: error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
