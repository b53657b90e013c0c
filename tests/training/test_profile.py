"""A profile holds the steps that were asked for, however the run ends."""

import numpy as np
import pytest
import tensorflow as tf
from eager import eagerly
from tensorflow.tsl.profiler.protobuf import xplane_pb2

from tfgen.errors import InputError
from tfgen.recipe import Recipe
from tfgen.training import train, trainer
from tfgen.training.profile import NOTHING, Profile


@pytest.fixture
def recipe(tmp_path):
    (tmp_path / "text.txt").write_text("to be or not to be, that is the question. " * 20)
    settings = {
        "data.name": str(tmp_path / "text.txt"), "model.units": 4, "model.layers": 1,
        "training.steps": 6, "training.batch_size": 2, "training.window": 8,
        "training.checkpoint_every": 4, "training.sample_every": 0, "training.histogram_every": 0,
        "training.profile": "2:3",
    }  # fmt: skip
    with eagerly():
        yield Recipe("lstm").override(settings)


def profiled(run):
    """The steps that each profile of a run holds."""
    found = []
    for path in sorted(run.glob("logs/train/plugins/profile/*/*.xplane.pb")):
        space = xplane_pb2.XSpace.FromString(path.read_bytes())
        steps = []
        for plane in space.planes:
            stats = {key: value.name for key, value in plane.stat_metadata.items()}
            names = {key: value.name for key, value in plane.event_metadata.items()}
            for line in plane.lines:
                for event in line.events:
                    if names[event.metadata_id] == "train":
                        of = {stats[stat.metadata_id]: stat.int64_value for stat in event.stats}
                        assert of["_r"] == 1
                        steps.append(of["step_num"])
        found.append(sorted(steps))
    # A further file of events, as older versions leave, would end the reading of the run's own.
    assert {path.suffix for path in run.glob("logs/train/events*")} == {".v2"}
    return found


@pytest.mark.long
def test_the_steps_asked_for_and_none_that_are_past(recipe, tmp_path):
    run = tmp_path / "run"
    train(recipe, run, progress=False)
    assert profiled(run) == [[2, 3]]
    # Past, or partly past, or not reached.
    for steps, expected in (("5:6", []), ("6:8", [[7, 8]]), ("99:100", [])):
        again = recipe.override({"training.profile": steps, "training.steps": 8})
        for path in run.glob("logs/train/plugins/profile/*/*"):
            path.unlink()
        (run / "checkpoints" / "step-000000008.npz").unlink(missing_ok=True)
        train(again, run, resume=True, progress=False)
        assert profiled(run) == expected


def test_a_run_that_goes_wrong_or_ends_early_leaves_its_profile(recipe, tmp_path, monkeypatch):
    def one_step(self, batch, original=trainer.Run.one_step):
        loss, norms = original(self, batch)
        return (loss * np.nan if self.state.step == 2 else loss), norms

    monkeypatch.setattr(trainer.Run, "one_step", one_step)
    bad = recipe.override({"training.profile": "2:5", "training.log_every": 4})
    with pytest.raises(InputError, match="Step 3 gave a loss of nan"):
        train(bad, tmp_path / "bad", progress=False)
    assert profiled(tmp_path / "bad") == [[2, 3, 4]]
    with Profile(range(1, 2), tmp_path / "next") as profile, profile.step(1):
        pass  # the profiler is free again


def test_other_steps_have_nothing_around_them(tmp_path, monkeypatch):
    for name in ("start", "stop", "Trace"):
        monkeypatch.delattr(tf.profiler.experimental, name)
    with Profile(range(0), tmp_path) as none, Profile(range(3, 5), tmp_path) as later:
        assert none.step(1) is NOTHING and later.step(2) is NOTHING and later.step(5) is NOTHING
