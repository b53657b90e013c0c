"""A worker that writes nothing has a dashboard that takes what a run tells, and nothing else."""

import inspect
import re

import pytest

from tfgen.training import run
from tfgen.training.dashboard import Dashboard
from tfgen.training.silent_dashboard import SilentDashboard

# What only the first worker asks for.
OF_THE_FIRST = {"histograms", "activations"}


def test_it_takes_what_a_run_tells_its_dashboard():
    told = set(re.findall(r"self\.dashboard\.(\w+)\(", inspect.getsource(run)))
    assert {"begin", "progress", "close"} <= told
    for name in told - OF_THE_FIRST:
        taken = inspect.signature(getattr(SilentDashboard, name))
        assert taken == inspect.signature(getattr(Dashboard, name)), name


def test_it_swallows_no_slip():
    with pytest.raises(AttributeError):
        SilentDashboard().progres(1)
