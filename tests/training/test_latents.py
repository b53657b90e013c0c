"""What a validation tells of latents, and when it warns."""

import types

import numpy as np
import pytest
import tensorflow as tf

from tests.event_files import scalars
from tfgen.sampling.posterior import Posterior
from tfgen.training.latents import LatentWatch


def watched(means, folder):
    """What is written and said of posteriors of unit variance with these means, at two steps."""
    engine = types.SimpleNamespace(
        posterior_of=lambda batch: Posterior(batch, tf.zeros_like(batch))
    )
    model = types.SimpleNamespace(engine=engine, unpack=lambda batch: batch)
    windows = types.SimpleNamespace(batch=lambda k: np.array(means, np.float32))
    writer, watch = tf.summary.create_file_writer(str(folder)), LatentWatch(model, windows)
    said = [watch.write(writer, step) for step in (1, 2)]
    writer.close()
    return scalars(folder), said


def test_rate_and_active_units_are_told_and_a_collapse_once(tmp_path):
    found, said = watched([[2.0, 0.0], [-2.0, 0.05]], tmp_path / "one")
    assert said == [None, None] and found["latents/active_units"] == [(1, 1.0), (2, 1.0)]
    # Half of the squared means: 2 nats, and of the other 0.05^2 / 4.
    assert found["latents/rate"][0][1] == pytest.approx(2 + 0.05**2 / 4)
    found, said = watched([[0.0, 1.0]] * 3, tmp_path / "none")  # a constant says nothing
    assert found["latents/active_units"][0] == (1, 0.0)
    assert "collapsed" in said[0] and said[1] is None
