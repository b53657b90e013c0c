"""An import runs downward only: the floors of the house."""

import ast
import functools
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# From the ground up. A module may import from its own floor and from those below; of several
# packages on one floor, neither may import the other.
FLOORS = [
    ["tfgen"],  # the version
    ["tfgen.arguments errors files forks kinds names signals uses"],
    ["tfgen.recipe values"],
    ["tfgen.export"],
    ["tfgen.data"],
    ["tfgen.preprocessing"],
    ["tfgen.layers"],
    ["tfgen.sampling"],
    ["tfgen.networks"],
    ["tfgen.models"],
    ["tfgen.report"],
    ["tfgen.training", "tfgen.evaluation"],
    ["tfgen.zoo"],
    ["tfgen.cli startup __main__"],
    ["scripts"],
]

# Tables that name by path what lies above them, and import nothing of it.
BY_PATH = ["tfgen.kinds"]

# Modules that answer at once: they must not import TensorFlow.
LIGHT = [
    "tfgen",
    "tfgen.cli",
    "tfgen.data",
    "tfgen.errors",
    "tfgen.files",
    "tfgen.recipe",
    "tfgen.report.inspection",
    "tfgen.zoo",
]


def room_of(module):
    """Returns `(floor, room)` of a module: its height, and which of the packages of that floor."""
    for height, floor in enumerate(FLOORS):
        for room, names in enumerate(floor):
            first, *others = names.split()
            for name in [first, *(f"tfgen.{other}" for other in others)]:
                if module == name or (name != "tfgen" and module.startswith(f"{name}.")):
                    return height, room
    raise AssertionError(f"{module} is on no floor: give it one here and in the plan of the house")


def modules():
    """Returns `{module: path}` of the library and the scripts."""
    found = {}
    for path in sorted([*ROOT.glob("tfgen/**/*.py"), *ROOT.glob("scripts/**/*.py")]):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


parsed = functools.lru_cache(None)(ast.parse)


def imports(source, module, known, at_once=False):
    """Returns the modules of `known` that a source imports, also inside functions and as names.

    With `at_once` only those that are imported when the module is.
    """
    found = set()

    def add(name):
        # `from tfgen.files import sha256` names a function of the module tfgen.files.
        while name not in known and "." in name:
            name = name.rpartition(".")[0]
        if name in known:
            found.add(name)

    tree = parsed(source)
    for node in tree.body if at_once else ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                add(alias.name)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: imports are written in full here"
            for alias in node.names:
                add(f"{node.module}.{alias.name}")
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            if module in BY_PATH:
                continue
            # "tfgen.layers.lstm:LSTM" in a table is an import that happens later.
            if re.fullmatch(r"tfgen(\.\w+)+(:\w+)?", node.value):
                add(node.value.partition(":")[0])
    return found - {module}


def upward(source, module, known):
    """Returns the imports of a source that the floors forbid, as sentences."""
    height, room = room_of(module)
    wrong = []
    for target in sorted(imports(source, module, known)):
        other_height, other_room = room_of(target)
        if other_height > height:
            wrong.append(f"{module} imports {target}, which is above it")
        elif other_height == height and other_room != room:
            wrong.append(f"{module} imports {target}, its sibling")
    return wrong


def circles(graph):
    """Returns the sets of modules that import each other, each a sorted list."""
    reached = {}
    for module in graph:
        seen, waiting = set(), [module]
        while waiting:
            for target in graph[waiting.pop()] - seen:
                seen.add(target)
                waiting.append(target)
        reached[module] = seen
    found = {
        tuple(sorted(target for target in seen if module in reached[target]))
        for module, seen in reached.items()
        if module in seen
    }
    return [list(circle) for circle in sorted(found)]


@pytest.mark.parametrize("module", modules())
def test_imports_run_downward(module):
    known = modules()
    assert not upward(known[module].read_text("utf-8"), module, known)


@pytest.mark.parametrize(
    ("module", "source", "forbidden"),
    [
        ("tfgen.sampling.tokens", "from tfgen import models", "tfgen.models"),
        ("tfgen.sampling.tokens", "def f():\n    import tfgen.models.base", "tfgen.models.base"),
        ("tfgen.data.text", "from tfgen.preprocessing import Tokenizer", "tfgen.preprocessing"),
        (
            "tfgen.export",
            "TABLE = {'lstm': 'tfgen.models.base:X'}",
            "tfgen.models.base",
        ),
        ("tfgen.kinds", "from tfgen.data import audio", "tfgen.data.audio"),
        ("tfgen.training", "import tfgen.evaluation.text", "tfgen.evaluation.text"),
        ("tfgen.evaluation", "import tfgen.training", "tfgen.training"),
        ("tfgen.training", "from tfgen.zoo import get", "tfgen.zoo"),
        ("tfgen.recipe", "from tfgen.data import BUILTIN", "tfgen.data"),
        ("tfgen.values", "from tfgen.export import write_saved_model", "tfgen.export"),
        ("tfgen.zoo", "from tfgen.cli import arguments", "tfgen.cli.arguments"),
        ("tfgen.data", "from tfgen.report.series import series_figure", "tfgen.report.series"),
        ("tfgen.report", "from tfgen.evaluation import evaluate", "tfgen.evaluation"),
    ],
)
def test_an_import_upward_or_of_a_sibling_is_found(module, source, forbidden):
    [complaint] = upward(source, module, modules())
    assert f"imports {forbidden}," in complaint


def test_an_import_downward_or_on_the_same_floor_is_allowed():
    source = "import tfgen\nfrom tfgen import models, zoo\nfrom tfgen.startup import LOG_LEVEL"
    assert not upward(source, "tfgen.cli", modules())
    assert imports(source, "tfgen.cli", modules()) == {
        "tfgen", "tfgen.models", "tfgen.startup", "tfgen.zoo",
    }  # fmt: skip


def test_no_modules_import_each_other():
    known = modules()
    sources = {module: path.read_text("utf-8") for module, path in known.items()}
    at_once = {module: imports(sources[module], module, known, at_once=True) for module in known}
    assert circles(at_once) == []
    # Inside functions and by name, only the table of families and the models in it.
    graph = {module: imports(sources[module], module, known) for module in known}
    for circle in circles(graph):
        assert all(module.startswith("tfgen.models") for module in circle), circle


def test_a_circle_is_found():
    graph = {"a": {"b", "d"}, "b": {"c"}, "c": {"a"}, "d": {"e"}, "e": set(), "f": {"f"}}
    assert circles(graph) == [["a", "b", "c"], ["f"]]


def test_a_module_needs_a_floor():
    with pytest.raises(AssertionError, match="tfgen.surprise is on no floor"):
        room_of("tfgen.surprise")


@pytest.mark.parametrize("module", LIGHT)
def test_light_modules_import_no_tensorflow(module):
    code = (
        f"import sys, {module}\n"
        "print(*(name for name in ('tensorflow', 'keras', 'torch', 'jax') if name in sys.modules))"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True
    )
    assert result.stdout.strip() == ""
