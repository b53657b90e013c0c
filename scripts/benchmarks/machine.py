"""What a figure was measured on."""

import os
import platform
import sys
from importlib import metadata
from pathlib import Path

import tfgen

# The names under which a library may be installed.
LIBRARIES = {
    "tensorflow": ("tensorflow", "tensorflow-cpu"),
    "keras": ("keras",),
    "torch": ("torch",),
    "transformers": ("transformers",),
    "gluonts": ("gluonts",),
    "denoising-diffusion-pytorch": ("denoising-diffusion-pytorch",),
    "diffusers": ("diffusers",),
    "numpy": ("numpy",),
}


def machine():
    """A dict of the CPU, its cores, the load before the start and the versions."""
    versions = {"tfgen": tfgen.__version__, "python": platform.python_version()}
    for library, names in LIBRARIES.items():
        version = next(filter(None, map(_version, names)), None)
        if version:
            versions[library] = version
    return {
        "cpu": _cpu(),
        "cores": _cores(),
        "l3_cache": _l3_cache(),
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "system": platform.platform(terse=True),
        "versions": versions,
    }


def machine_lines(facts):
    """The dict of `machine` as lines of text."""
    cache = f", L3 {facts['l3_cache']}" if facts["l3_cache"] else ""
    versions = ", ".join(f"{name} {version}" for name, version in facts["versions"].items())
    lines = [f"{facts['cpu']}, {facts['cores']} cores{cache}, {facts['system']}", versions]
    if facts["load"] is not None and facts["load"] > 0.3 * facts["cores"]:
        lines.append(
            f"The machine is busy (load {facts['load']:.1f}): these figures are not to be trusted."
        )
    return lines


def _version(distribution):
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def _cores():
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count()


def _cpu():
    if sys.platform == "linux":
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()


def _l3_cache():
    path = Path("/sys/devices/system/cpu/cpu0/cache/index3/size")
    return path.read_text().strip() if path.is_file() else None
