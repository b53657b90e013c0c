"""README.md and pages of docs/: Python prints what they show, links and commands exist."""

import configparser
import doctest
import json
import os
import re
import runpy
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tfgen import cli, zoo
from tfgen.cli.arguments import global_options, parse
from tfgen.recipe import Recipe
from tfgen.zoo.table import short_table

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text("utf-8")
# The pages whose commands are looked at, and those whose Python is run as one program each.
PROGRAMS = ("README.md", "docs/extending.md", "docs/serving.md")
RUN = (*PROGRAMS, "docs/keras.md")
PAGES = ("README.md", *sorted(f"docs/{path.name}" for path in ROOT.glob("docs/*.md")))
TEXTS = {page: (ROOT / page).read_text("utf-8") for page in PAGES}
# The pages without their blocks, on the same lines.
PROSE = {
    page: re.sub(
        r"^```.*?^```$",
        lambda block: "\n" * block[0].count("\n"),
        text,
        flags=re.MULTILINE | re.DOTALL,
    )
    for page, text in TEXTS.items()
}

# Commands that are not ours.
FOREIGN = {"export", "pip", "saved_model_cli", "tensorboard"}


def blocks(page, language):
    """Returns `(line, content, output)` of the fenced blocks in a language.

    The output is the content of a `text` block that follows at once, or None.
    """
    text = TEXTS[page]
    pattern = rf"^```{language}\n(.*?)^```$(?:\s*^```text\n(.*?)^```$)?"
    return [
        (text.count("\n", 0, match.start()) + 2, match[1], match[2])
        for match in re.finditer(pattern, text, re.MULTILINE | re.DOTALL)
    ]


# Runs the blocks of a page one after the other, and writes down what each printed.
RUNNER = """
import contextlib, io, json

results, names = [], {"__name__": "__main__"}
for line, code, _ in json.load(open("blocks.json")):
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile("\\n" * (line - 1) + code, "page", "exec"), names)
    results.append(printed.getvalue())
json.dump(results, open("printed.json", "w"))
"""


@pytest.mark.long
@pytest.mark.parametrize("page", RUN)
def test_the_python_blocks_print_what_the_pages_show(page, tmp_path):
    python = blocks(page, "python")
    assert len(python) >= (5 if page == "README.md" else 1)
    (tmp_path / "blocks.json").write_text(json.dumps(python))
    (tmp_path / "runner.py").write_text(RUNNER)
    result = subprocess.run(
        [sys.executable, "runner.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    printed = json.loads((tmp_path / "printed.json").read_text())
    for (line, _, expected), output in zip(python, printed, strict=True):
        if expected is not None:
            # A line `...` stands for any further output.
            same = doctest.OutputChecker().check_output(expected, output, doctest.ELLIPSIS)
            assert same, f"{page}:{line} shows\n{expected}\nbut prints\n{output}"


# Runs commands of ours, one after the other, in one process: each would import TensorFlow.
COMMANDS = """
import json, sys
from tfgen import cli

for words in json.loads(sys.argv[1]):
    print("$", words[0], flush=True)
    if code := cli.main(words):
        sys.exit(code)
"""


@pytest.mark.long
def test_a_persons_kind_of_data_goes_through_every_command(tmp_path):
    page = "docs/extending.md"
    lines = TEXTS[page].splitlines()
    start = lines.index("## A kind of data") + 1
    end = next(n for n, line in enumerate(lines, 1) if n > start and line.startswith("## "))
    in_section = {
        language: [block[1] for block in blocks(page, language) if start < block[0] < end]
        for language in ("python", "bash")
    }
    kind, data = in_section["python"]
    assert kind.count("\n") <= 40 and kind.startswith("# my_kinds.py\n")
    (tmp_path / "my_kinds.py").write_text(kind)

    def run(*words):
        done = subprocess.run(
            [sys.executable, *words],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    run("-c", kind + data)
    [shell] = in_section["bash"]
    lines = [shlex.split(line) for line in shell.replace("\\\n", " ").splitlines()]
    assert all(program == "tfgen" and "my_kinds" in words for program, *words in lines)
    told = run("-c", COMMANDS, json.dumps([words for _, *words in lines]))
    told = {each.partition("\n")[0]: each for each in told.removeprefix("$ ").split("\n$ ")}
    assert [*told] == ["inspect", "train", "generate", "evaluate", "export"]
    assert "Wrote" in told["generate"] and "Wrote" in told["evaluate"]
    for name in ("game-1.dice", "game-2.dice"):
        rolls = (tmp_path / name).read_text().split()
        assert rolls and {*rolls} <= {*"123456"}
    assert (tmp_path / "games.png").read_bytes().startswith(b"\x89PNG")
    assert "Generated dice" in (tmp_path / "scores.html").read_text()
    assert (tmp_path / "served" / "1" / "saved_model.pb").is_file()
    events = b"".join(path.read_bytes() for path in tmp_path.glob("runs/dice/logs/*/events*"))
    assert b"samples/dice" in events


def headings(page):
    """The anchors of a page's headings."""
    return {
        re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-")
        for heading in re.findall(r"^#+ (.*)$", PROSE[page], re.MULTILINE)
    }


@pytest.mark.parametrize("page", PAGES)
def test_every_link_and_picture_is_there(page):
    targets = re.findall(r"\]\(([^)\s]+)|(?:src|href)=\"([^\"]+)", PROSE[page])
    for target in (link or attribute for link, attribute in targets):
        if re.match(r"\w+:", target):  # https:
            continue
        path, _, anchor = target.partition("#")
        file = (ROOT / page).parent / path if path else ROOT / page
        assert file.exists(), f"{target} does not exist"
        name = os.path.relpath(file, ROOT)
        if anchor and name in PAGES:
            assert anchor in headings(name), f"there is no heading for {target}"


@pytest.mark.parametrize("page", PAGES)
def test_every_file_that_is_named_is_there(page):
    pattern = r"`((?:python )?(?:tfgen|zoo|scripts|tests|docs|LICENSES)/[^`\s]*)"
    for name in re.findall(pattern, PROSE[page]):
        assert (ROOT / name.removeprefix("python ")).exists(), f"`{name}` does not exist"


def commands():
    """Returns `(place, words)` of the commands in shell blocks, in the text, and in quickstart."""
    found = []
    for page in PROGRAMS:
        for line, content, _ in blocks(page, "bash"):
            lines = content.replace("\\\n", " ").splitlines()
            found += [(f"{page}:{line}", shlex.split(words, comments=True)) for words in lines]
    quickstart = (ROOT / "scripts" / "quickstart").read_text("utf-8").replace("\\\n", " ")
    for match in re.finditer(r"^tfgen .*$", quickstart, re.MULTILINE):
        found.append(("quickstart", shlex.split(match[0])))
    for page in PROGRAMS:
        for match in re.finditer(r"`((?:tfgen|pip|python) [^`]*)`", PROSE[page]):
            line = PROSE[page].count("\n", 0, match.start()) + 1
            found.append((f"{page}:{line}", shlex.split(match[1])))
    return [(place, words) for place, words in found if words]


@pytest.mark.parametrize(
    "words", [pytest.param(words, id=f"{place}-{words[0]}") for place, words in commands()]
)
def test_every_command_exists(words):
    program, *arguments = words
    if program == "tfgen":
        check_tfgen(arguments)
    elif program.startswith("scripts/"):
        assert os.access(ROOT / program, os.X_OK), f"{program} is no command"
    elif program == "python":
        assert (ROOT / arguments[0]).is_file()
    else:
        assert program in FOREIGN


@pytest.mark.parametrize("script", ["scripts/quickstart", "scripts/test", ".ci/run"])
def test_the_shell_scripts_can_be_run(script):
    assert os.access(ROOT / script, os.X_OK)
    subprocess.run(["bash", "-n", ROOT / script], check=True)


def check_tfgen(argv):
    """Reads a command line as `tfgen` would, with its names and fields, short of running it."""
    argv, modules, folders = global_options(argv)
    if argv in (["--help"], ["--version"]):
        return
    assert argv[0] in cli.VERBS, f"tfgen has no verb {argv[0]}"
    if "--help" in argv:
        return
    arguments = parse(cli.VERBS[argv[0]](), argv[1:])
    name = getattr(arguments, "name", None) or getattr(arguments, "target", None)
    # A path, a variable, and what a person adds need not be there.
    if name and not (modules or folders or "/" in name or "$" in name):
        assert zoo.find(name)
    for setting in getattr(arguments, "set", []):
        key, equals, value = setting.partition("=")
        assert equals
        Recipe("lstm").override({key: value})


def test_the_dependencies_are_those_of_setup_cfg():
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg", "utf-8")
    required = [line for line in parser["options"]["install_requires"].splitlines() if line]
    table = TEXT.partition("| package |")[2].partition("\n\n")[0]
    explained = re.findall(r"^\| (\w[\w-]*) \|", table, re.MULTILINE)
    assert [re.match(r"[\w-]+", requirement)[0] for requirement in required] == explained
    [by_name] = [words for _, words in commands() if "tensorflow-cpu" in " ".join(words)]
    others = [requirement.replace("tensorflow>", "tensorflow-cpu>") for requirement in required]
    assert by_name == ["pip", "install", *others]


def test_the_table_is_that_of_the_zoo():
    with_table = runpy.run_path(str(ROOT / "scripts" / "make_zoo_table.py"))["with_table"]
    table = short_table(ROOT / "zoo")
    assert with_table(TEXT, table) == TEXT, "run scripts/make_zoo_table.py"
    emptied = with_table(TEXT, "")
    assert with_table(emptied, table) == TEXT
    for entry in zoo.list_models(kind="entry"):
        assert f"| [{entry}](zoo/{entry}/) |" in TEXT
        assert entry not in emptied.partition("<!-- /zoo -->")[0].partition("<!-- zoo:")[2]


def test_the_readme_is_short():
    assert TEXT.count("\n") <= 250


def test_nothing_is_left_to_fill():
    assert "(to be filled)" not in TEXT
