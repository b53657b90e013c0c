"""The report of an evaluation: a JSON file and a page that needs no other file."""

import base64
import html
import json
from pathlib import Path

from tfgen.errors import InputError
from tfgen.files import atomic_file
from tfgen.report.score import Score, is_score, plain, readable, with_spread

JSON_NAME, PAGE_NAME = "report.json", "report.html"


def write_report(results, folder, figures=()):
    """Writes `report.json` and `report.html` into a folder.

    Args:
        results: A dict that JSON can hold. A dict with the keys of `Score` is a score; dicts of
            scores become tables, everything else lines of facts.
        folder: Where to write; it is made if it is not there, and files of these names replaced.
        figures: Pairs `(title, PNG file as bytes)`, which become part of the page.

    Returns:
        `pathlib.Path` of the page.

    Raises:
        InputError: If `folder` is a file.
    """
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file, where a folder for the report is wanted")
    results = plain(results)
    files = {
        JSON_NAME: json.dumps(results, indent=2, ensure_ascii=False, allow_nan=False) + "\n",
        PAGE_NAME: page(results, figures),
    }
    for name, content in files.items():
        with atomic_file(folder / name) as temporary:
            temporary.write_text(content, "utf-8", "backslashreplace")
    return folder / PAGE_NAME


def page(results, figures=()):
    """Returns the report as one HTML page; see `write_report`."""
    title = f"Evaluation of {results.get('model') or 'a model'}"
    parts = [f"<h1>{_text(title)}</h1>", _facts(results)]
    for name, section in results.items():
        if isinstance(section, dict) and not is_score(section):
            parts += [f"<h2>{_text(_spaced(name))}</h2>", _facts(section), *_tables(section)]
    for caption, png in figures:
        data = base64.b64encode(png).decode("ascii")
        parts.append(
            f"<figure><figcaption>{_text(caption)}</figcaption>"
            f'<img alt="{_text(caption)}" src="data:image/png;base64,{data}"></figure>'
        )
    body = "\n".join(part for part in parts if part)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head><meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{_text(title)}</title>\n<style>{_STYLE}</style></head>\n"
        f"<body>\n{body}\n</body>\n</html>\n"
    )


_STYLE = """
body { font: 16px/1.5 sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem;
  color: #222; background: #fff; }
table { border-collapse: collapse; margin: 1rem 0; }
th, td { padding: .3rem .9rem; border-bottom: 1px solid #ccc; text-align: right; }
th:first-child, td:first-child { text-align: left; }
tr.facts td { text-align: left; }
figure { margin: 2rem 0; }
figcaption { font-weight: bold; }
img { max-width: 100%; }
"""

_HEADS = ("score", "model", "real against real", "naive baseline", "better")


def _tables(section):
    """The tables of a section: of its own scores, then of each dict of scores in it."""
    own = {name: value for name, value in section.items() if is_score(value)}
    groups = [("", own)] if own else []
    groups += [
        (name, value)
        for name, value in section.items()
        if isinstance(value, dict) and not is_score(value)
    ]
    for name, group in groups:
        if name:
            yield f"<h3>{_text(_spaced(name))}</h3>"
        scores = {key: Score.from_dict(value) for key, value in group.items() if is_score(value)}
        yield _facts(group)
        if scores:
            rows = "\n".join(_row(key, score) for key, score in scores.items())
            heads = "".join(f"<th>{head}</th>" for head in _HEADS)
            yield f"<table>\n<tr>{heads}</tr>\n{rows}\n</table>"


def _row(name, score):
    better = f"near {score.target:g}" if score.better == "near" else score.better
    cells = (
        _spaced(name),
        readable(score),
        with_spread(score.real, score.real_spread),
        with_spread(score.baseline, score.baseline_spread),
        better,
    )
    return "<tr>" + "".join(f"<td>{_text(cell)}</td>" for cell in cells) + "</tr>"


def _facts(section):
    """A table of what is neither a score nor a section."""
    rows = [
        f'<tr class="facts"><td>{_text(_spaced(key))}</td><td>{_text(_fact(value))}</td></tr>'
        for key, value in section.items()
        if not isinstance(value, dict) and value not in (None, [], "")
    ]
    return "<table>\n" + "\n".join(rows) + "\n</table>" if rows else ""


def _fact(value):
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list):
        return "; ".join(_fact(item) for item in value)
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _spaced(name):
    return str(name).replace("_", " ")


def _text(value):
    return html.escape(str(value))
