"""What a validation tells of latents, and when it warns."""

import types

import numpy as np
import pytest
import tensorflow as tf

from tests.event_files import scalars
from tests.models.contract.rows import ROWS, TOKENIZER, model_of, series
from tfgen.data import LineWindows
from tfgen.networks.latent_prior import LatentPrior
from tfgen.sampling.posterior import Posterior
from tfgen.training.latents import LatentWatch, held_lines, lines_shown, sequences_shown


def watched(means, folder):
    """What is written and said of posteriors of unit variance with these means, at two steps."""
    engine = types.SimpleNamespace(
        posterior_of=lambda batch: Posterior(batch, tf.zeros_like(batch)),
        space=types.SimpleNamespace(latent_prior=LatentPrior(2), quantized=False),
    )
    model = types.SimpleNamespace(engine=engine, unpack=lambda batch: batch)
    halves = np.split(np.array(means, np.float32), [1])
    windows = types.SimpleNamespace(batch=halves.__getitem__, batch_size=2, steps_per_epoch=2)
    writer, watch = tf.summary.create_file_writer(str(folder)), LatentWatch(model, windows)
    said = [watch.write(writer, step) for step in (1, 2)]
    writer.close()
    return scalars(folder), said


def test_rate_and_active_units_are_told_and_a_collapse_once(tmp_path):
    found, said = watched([[2.0, 0.0], [-2.0, 0.05]], tmp_path / "one")
    assert said == [None, None] and found["latents/active_units"] == [(1, 1.0), (2, 1.0)]
    # Half of the squared means: 2 nats, and of the other 0.05^2 / 4.
    assert found["latents/rate"][0][1] == pytest.approx(2 + 0.05**2 / 4)
    assert 0 < found["latents/mutual_information"][0][1] < np.log(2)
    found, said = watched([[0.0, 1.0]] * 3, tmp_path / "none")  # a constant says nothing
    assert found["latents/active_units"][0] == (1, 0.0)
    assert "collapsed" in said[0] and said[1] is None


@pytest.mark.long
def test_held_out_lines_are_decoded_beside_themselves_and_walked_between():
    model = model_of(next(row for row in ROWS if str(row) == "vae-text"))
    tokens = TOKENIZER.encode("abc\n\nh\nfe dc\nba\n")
    windows = LineWindows(tokens, 6, 2, TOKENIZER.start_id, drop_remainder=False)
    lines = held_lines(windows, TOKENIZER)
    assert lines == ["abc", "h", "fe dc", "ba"]
    shown = lines_shown(model, lines)
    again = model.reconstruct("fe dc", seed=0, temperature=0.0)
    assert shown["reconstructions"][2] == f"'fe dc' -> {again!r}"
    assert len(shown["walks"]) == 2 and shown["walks"][1].startswith(f"{again!r} | ")


@pytest.mark.long
def test_held_out_series_are_too():
    model = model_of(next(row for row in ROWS if str(row) == "vae-numbers"))
    shown = sequences_shown(model, series(), 6)
    originals, made = shown["reconstructions"]
    np.testing.assert_array_equal(originals[1], series().values[1][:6])
    assert [each.shape for each in made] == [(6, 3)] * 4
    ends, walk = shown["walk_1"]
    np.testing.assert_array_equal(ends[0], originals[2])
    np.testing.assert_allclose(walk[0], made[2], rtol=1e-4, atol=1e-4)
    assert np.abs(walk[-1] - walk[0]).max() > 1e-3
