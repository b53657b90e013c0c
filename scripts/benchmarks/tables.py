"""Figures as text."""

# Large numbers are shown in these, by unit.
SCALES = {"FLOP/s": (1e9, "GFLOP/s"), "bytes/s": (1e9, "GB/s")}


def table(figure):
    """Returns the lines of a figure: a heading, a row for each contestant, notes."""
    rows = _scores(figure) if "scores" in figure else _measurements(figure)
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [figure["name"]]
    for row in rows:
        cells = [row[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        lines.append("  " + "  ".join(cells).rstrip())
    for name, result in figure.get("differences", {}).items():
        low, middle, high = (_number(result[key]) for key in ("min", "median", "max"))
        lines.append(f"  {name}: {middle} {figure['unit']} ({low} to {high})")
    for name, results in figure.get("variants", {}).items():
        told = ", ".join(f"{_ratio(result)} {other}" for other, result in results.items())
        lines.append(f"  {name}: {told}")
    for name, result in figure.get("overheads", {}).items():
        low, middle, high = (f"{100 * result[key]:.2f}%" for key in ("min", "median", "max"))
        target = f", target below {100 * result['target']:.0f}%" if "target" in result else ""
        lines.append(f"  {name}: {middle} ({low} to {high}){target}")
    for contestant, result in figure["contestants"].items():
        if result["note"]:
            lines.append(f"  {contestant}: {result['note']}")
    lines += [f"  {note}" for note in figure["notes"]]
    lines += [f"  {name} skipped: {why}" for name, why in figure["skipped"].items()]
    return lines


def _scores(figure):
    """Rows of a figure of scores: a column for each, and tfgen's share of the first one."""
    columns = list(dict.fromkeys(key for scores in figure["scores"].values() for key in scores))
    rows = [[figure["unit"], *columns[:1], "tfgen is", *columns[1:]]]
    for contestant, scores in figure["scores"].items():
        cells = [f"{scores[key]:.3f}" if key in scores else "" for key in columns]
        rows.append([contestant, cells[0], _ratio(figure["ratios"].get(contestant)), *cells[1:]])
    return rows


def _measurements(figure):
    """Rows of a figure of measurements that were repeated."""
    shares = list(figure["shares"])
    ratio = ["tfgen is"] if figure["ratios"] else []
    rows = [[figure["unit"], "median", "min", "max", *ratio, *shares]]
    for contestant, result in figure["contestants"].items():
        unit = _unit(contestant, figure["unit"])
        scale, shown = SCALES.get(unit, (1, unit))
        label = contestant if shown == figure["unit"] else f"{contestant}, {shown}"
        row = [label, *(_number(result[key] / scale) for key in ("median", "min", "max"))]
        if ratio:
            row.append(_ratio(figure["ratios"].get(contestant)))
        for share in shares:
            row.append(_percent(figure["shares"][share].get(contestant)))
        rows.append(row)
    return rows


def _unit(contestant, unit):
    """Ceilings stand in the tables of other units."""
    if contestant.startswith("matrix product"):
        return "FLOP/s"
    return "bytes/s" if contestant.startswith("reading") else unit


def _number(value):
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.2f}"


def _ratio(result):
    if result is None:
        return ""
    low, middle, high = (_number(result[key]) for key in ("min", "median", "max"))
    return f"{middle} x ({low} to {high})"


def _percent(result):
    return "" if result is None else f"{result['median']:.0%}"
