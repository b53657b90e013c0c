"""What is installed: the wheel and the sdist, each in a clean environment."""

import ast
import configparser
import email
import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

import tfgen

ROOT = Path(__file__).parents[1]
ENTRY = "lstm-shakespeare"

# Not part of the project, though they may lie in a checkout.
LITTER = (".*", "__pycache__", "*.pyc", "*.egg-info", "build", "dist", "runs", "served")

# The name under which a requirement is imported, where it is another.
IMPORTED_AS = {"keras-tuner": "keras_tuner", "scikit-learn": "sklearn", "tomli-w": "tomli_w"}


def setup_cfg():
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg", "utf-8")
    return parser


def lines(text):
    return [line.strip() for line in text.splitlines() if line.strip()]


def files_under(folder):
    """Returns the files below a folder as relative posix paths, without litter."""
    ignore = shutil.ignore_patterns(*LITTER)
    found = set()
    for path, folders, names in os.walk(folder):
        ignored = ignore(path, [*folders, *names])
        folders[:] = [name for name in folders if name not in ignored]
        found |= {
            (Path(path) / name).relative_to(folder).as_posix()
            for name in names
            if name not in ignored
        }
    return found


def installed_files():
    """Returns what an installation must hold, as paths in it."""
    entries = {f"tfgen/zoo/entries/{name}" for name in files_under(ROOT / "zoo")}
    return entries | {f"tfgen/{name}" for name in files_under(ROOT / "tfgen")}


# What setup.cfg says


def test_the_listed_packages_are_those_on_disk():
    def folders(pattern):
        return {".".join(path.parent.relative_to(ROOT).parts) for path in ROOT.glob(pattern)}

    on_disk, with_code = folders("tfgen/**/__init__.py"), folders("tfgen/**/*.py")
    assert on_disk == with_code, "a folder with modules needs an __init__.py"
    assert sorted(on_disk | {"tfgen.zoo.entries"}) == lines(setup_cfg()["options"]["packages"])


def test_every_import_is_required_and_every_requirement_imported():
    imported = set()
    for path in ROOT.glob("tfgen/**/*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add(node.module.partition(".")[0])
    sections = setup_cfg()
    # What is imported when it is needed only, and by some.
    required = {
        re.match(r"[\w-]+", line)[0]
        for requirements in (
            sections["options"]["install_requires"],
            *(
                sections["options.extras_require"][extra]
                for extra in ("hf", "data", "audio", "music", "tune", "report")
            ),
        )
        for line in lines(requirements)
        if not line.startswith("#")
    }
    modules = {IMPORTED_AS.get(name, name) for name in required}
    assert imported - set(sys.stdlib_module_names) - {"tfgen"} == modules


def test_pyproject_holds_the_build_system_and_the_style():
    content = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    assert list(content) == ["build-system", "tool"] and list(content["tool"]) == ["ruff"]


# What is built


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The paths `(wheel, sdist)`, built from a copy of the checkout."""
    pytest.importorskip("build", reason="pip install .[dev]")
    source = tmp_path_factory.mktemp("source") / "tfgen"
    shutil.copytree(ROOT, source, ignore=shutil.ignore_patterns(*LITTER))
    (source / ".ci").mkdir()
    shutil.copy(ROOT / ".ci" / "run", source / ".ci")
    out = tmp_path_factory.mktemp("dist")
    run(
        [sys.executable, "-m", "build", "--wheel", "--sdist", "--outdir", out, source]
        + (["--no-isolation"] if has_build_requirements() else []),
        cwd=out,
    )
    [wheel], [sdist] = out.glob("*.whl"), out.glob("*.tar.gz")
    return wheel, sdist


def has_build_requirements():
    """Whether the build can go without fetching setuptools."""
    try:
        return int(importlib.metadata.version("setuptools").partition(".")[0]) >= 77
    except importlib.metadata.PackageNotFoundError:
        return False


def run(command, **options):
    """Runs a command outside the checkout and returns what it printed."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    result = subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, env=environment, **options
    )
    assert result.returncode == 0, f"{command}\n{result.stdout}\n{result.stderr}"
    return result.stdout


@pytest.mark.long
@pytest.mark.slow
def test_the_wheel_holds_every_file_and_nothing_else(built):
    with zipfile.ZipFile(built[0]) as wheel:
        names = {name for name in wheel.namelist() if not name.endswith("/")}
    about = f"tfgen_sequences-{tfgen.__version__}.dist-info/"
    assert {name for name in names if not name.startswith(about)} == installed_files()
    licences = {f"LICENSES/{path.name}" for path in (ROOT / "LICENSES").iterdir()}
    licences |= {"LICENSE", "tfgen/data/files/kanji/COPYING"}
    assert {f"{about}licenses/{name}" for name in licences} <= names


@pytest.mark.long
@pytest.mark.slow
def test_the_wheel_says_what_setup_cfg_says(built):
    about = f"tfgen_sequences-{tfgen.__version__}.dist-info"
    with zipfile.ZipFile(built[0]) as wheel:
        metadata = email.message_from_bytes(wheel.read(f"{about}/METADATA"))
        scripts = wheel.read(f"{about}/entry_points.txt").decode()
    assert metadata["Name"] == "tfgen-sequences"
    assert metadata["Version"] == tfgen.__version__
    assert metadata["Requires-Python"] == ">=3.11"
    licences = {"Apache-2.0", "MIT", "CC0-1.0", "CC-BY-SA-3.0", "CC-BY-4.0"}
    assert set(metadata["License-Expression"].split(" AND ")) == licences
    assert {"dev", "benchmark", "hf", "data", "audio", "music", "tune"} <= set(
        metadata.get_all("Provides-Extra")
    )
    assert metadata.get_payload().startswith((ROOT / "README.md").read_text("utf-8")[:100])
    assert "tfgen = tfgen.cli:main" in scripts


@pytest.mark.long
@pytest.mark.slow
def test_the_sdist_holds_the_project(built):
    with tarfile.open(built[1]) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    project = {
        f"{folder}/{name}"
        for folder in ("tfgen", "zoo", "tests", "scripts", "docs", "LICENSES")
        for name in files_under(ROOT / folder)
    }
    top = {"setup.cfg", "pyproject.toml", "MANIFEST.in", "README.md", "LICENSE", ".ci/run"}
    assert project | top <= names


# What is installed


@pytest.fixture(scope="module", params=["wheel", pytest.param("sdist", marks=pytest.mark.long)])
def python(request, built, tmp_path_factory):
    """The interpreter of an environment with tfgen from the wheel, or from the sdist.

    It sees the packages that this process has, except tfgen: installing TensorFlow again would take
    minutes and gigabytes.
    """
    wheel, sdist = built
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "sdist":
        # What `pip install` of an sdist does, without fetching setuptools if it is here.
        offline = ["--no-build-isolation"] if has_build_requirements() else []
        run([sys.executable, "-m", "pip", "wheel", "--no-deps", *offline, "-w", folder, sdist])
        [wheel] = folder.glob("*.whl")
    environment = folder / "environment"
    run([sys.executable, "-m", "venv", "--without-pip", environment])
    python = environment / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", python]
    run([*pip, "install", "--no-deps", "--no-index", "--quiet", wheel], cwd=folder)
    # Paths in a .pth file come behind the environment's own packages, and .pth files in them, such
    # as that of an editable tfgen, are not read.
    paths = {key: sysconfig.get_path(key) for key in ("purelib", "platlib")}
    own = run([python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]).strip()
    (Path(own) / "dependencies.pth").write_text("\n".join(sorted(set(paths.values()))) + "\n")
    return python


@pytest.mark.long
@pytest.mark.slow
def test_get_works_from_another_folder(python, tmp_path):
    code = f"""
import importlib.util, json, tfgen
from tfgen.zoo import describe, get
model = get({ENTRY!r})
text = model.generate("ROMEO:", max_new_tokens=20, seed=7)
print(json.dumps({{
    "file": tfgen.__file__,
    "folder": str(describe({ENTRY!r}).folder),
    "text": text,
    "zoo": importlib.util.find_spec("zoo") is not None,
}}))
"""
    result = json.loads(run([python, "-c", code], cwd=tmp_path).splitlines()[-1])
    inside = str(python.parents[1])
    assert result["file"].startswith(inside)
    assert result["folder"].startswith(inside)
    assert result["folder"].endswith(f"tfgen/zoo/entries/{ENTRY}")
    assert result["text"].startswith("ROMEO:")
    assert len(result["text"]) == len("ROMEO:") + 20
    assert not result["zoo"], "a top-level package called zoo is installed"


@pytest.mark.long
@pytest.mark.slow
def test_the_command_works_from_another_folder(python, tmp_path):
    command = python.parent / "tfgen"
    listed = run([command, "list", "--pretrained"], cwd=tmp_path)
    entries = {path.parent.name for path in ROOT.glob("zoo/*/model.weights.h5")}
    assert {line.split()[0] for line in listed.splitlines()} == entries
    assert ENTRY in entries
    assert run([command, "--version"], cwd=tmp_path).strip() == f"tfgen {tfgen.__version__}"
    # The built-in data is there too, and a mistake ends with the exit code of a mistake.
    for name in ("shakespeare", "weather", "pendigits", "kanji", "drums"):
        assert name in run([command, "inspect", name], cwd=tmp_path)
    wrong = subprocess.run([str(command), "info", "no-such-name"], capture_output=True, text=True)
    assert wrong.returncode == 2
    assert wrong.stderr.startswith("tfgen: error:")
