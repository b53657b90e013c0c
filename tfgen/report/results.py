"""What was measured, as lines of text."""

from tfgen.report.score import is_score, with_spread
from tfgen.report.words import readable


def results_text(results, heading=""):
    """Returns results of an evaluation: facts, and scores beside those of real data.

    Args:
        results: Dict of facts, of scores as `tfgen.report.score.Score.to_dict` returns them, and
            of dicts of such.
        heading: What the text is of, or empty.
    """
    scores = {key: value for key, value in results.items() if is_score(value)}
    sections = {k: v for k, v in results.items() if isinstance(v, dict) and k not in scores}
    facts = {k: v for k, v in results.items() if k not in {*scores, *sections}}
    facts = {key: value for key, value in facts.items() if value not in (None, [], "")}
    lines = [f"\n{heading}"] if heading and (scores or facts) else []
    width = max((len(key) for key in (*facts, *scores)), default=0)
    cells = {key: readable(value) for key, value in facts.items()}
    cells |= {key: "   ".join(_cells(value)) for key, value in scores.items()}
    lines += [f"{key.replace('_', ' '):<{width}}  {cell}" for key, cell in cells.items()]
    for key, value in sections.items():
        text = results_text(value, f"{heading}, {key}".strip(", ").replace("_", " "))
        lines += [text] if text else []
    return "\n".join(lines)


def _cells(score):
    """A score, and what real data and a naive model get."""
    yield with_spread(score["mean"], score["spread"], "none")
    for name, of in (("real", "real"), ("naive", "baseline")):
        if score[of] is not None:
            yield f"{name} {with_spread(score[of], score.get(f'{of}_spread'))}"
