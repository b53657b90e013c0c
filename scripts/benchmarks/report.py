"""Results as Markdown, and what they were measured on."""

import contextlib
import os
import platform
import sys
from importlib import metadata
from pathlib import Path

import tfgen
from benchmarks.workers import shown

# Those of which there are several, by the first that is installed.
LIBRARIES = (
    "tensorflow", "tensorflow-cpu", "keras", "torch", "transformers", "gluonts",
    "denoising-diffusion-pytorch", "diffusers", "numpy",
)  # fmt: skip
# What ceilings count, by how their names begin, and how it is shown.
CEILINGS = {"matrix product": (1e9, "GFLOP/s"), "reading": (1e9, "GB/s")}


def table(result):
    """Returns the lines of a result: a heading, a row for each contestant, notes."""
    lines = [f"### {result['name']}", ""]
    head, *rows = _scores(result) if "scores" in result else _measurements(result)
    lines += [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows)] + [""]
    for name, contestant in result["contestants"].items():
        if contestant["note"]:
            lines.append(f"- {name}: {contestant['note']}")
    lines += [f"- {note}" for note in result["notes"]]
    return lines + [f"- {name} skipped: {why}" for name, why in result["skipped"].items()]


def _scores(result):
    """Rows of scores: a column for each, and tfgen's share of the first one."""
    columns = list(dict.fromkeys(key for scores in result["scores"].values() for key in scores))
    yield [result["unit"], *columns[:1], "tfgen is", *columns[1:]]
    for name, scores in result["scores"].items():
        cells = [f"{scores[key]:.3f}" if key in scores else "" for key in columns]
        yield [name, cells[0], _ratio(result["ratios"]["tfgen"].get(name)), *cells[1:]]


def _measurements(result):
    """Rows of what was measured in rounds, with a column for each way to run tfgen."""
    ratios = {ours: others for ours, others in result["ratios"].items() if others}
    shares = result["shares"]
    yield [result["unit"], "median", "min", "max", *(f"{ours} is" for ours in ratios), *shares]
    for name, found in result["contestants"].items():
        scale, unit = next((c for start, c in CEILINGS.items() if name.startswith(start)), (1, ""))
        cells = [shown(found[key] / scale) for key in ("median", "min", "max")]
        cells += [_ratio(others.get(name)) for others in ratios.values()]
        cells += [f"{each[name]['median']:.0%}" if name in each else "" for each in shares.values()]
        yield [f"{name}, {unit}" if unit else name, *cells]


def _ratio(ratio):
    if ratio is None:
        return ""
    low, middle, high = (shown(ratio[key]) for key in ("min", "median", "max"))
    return f"{middle} x ({low} to {high})"


def machine():
    """A dict of the CPU, its cores, the load before the start and the versions."""
    versions = {"tfgen": tfgen.__version__, "python": platform.python_version()}
    for library in LIBRARIES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            versions[library] = metadata.version(library)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    system = platform.platform(terse=True)
    return {
        "cpu": _cpu(), "cores": cores, "load": load, "system": system, "versions": versions,
    }  # fmt: skip


def machine_lines(facts):
    """The dict of `machine` as lines of text."""
    versions = ", ".join(f"{name} {version}" for name, version in facts["versions"].items())
    lines = [f"{facts['cpu']}, {facts['cores']} cores, {facts['system']}", versions]
    load = facts["load"] or 0.0
    if load > 0.3 * facts["cores"]:
        lines.append(f"The machine is busy (load {load:.1f}): do not trust these measurements.")
    return lines


def _cpu():
    if sys.platform == "linux":
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()
