"""scripts/benchmark.py trainer: a turn of the Trainer's loop does what is due, and no more."""

import pytest
from benchmarks import trainer

from tfgen.networks import RecurrentNetwork


@pytest.mark.long
def test_turns_of_the_trainer_do_what_is_due(monkeypatch):
    monkeypatch.setattr(RecurrentNetwork, "jit_compile_training", False)
    monkeypatch.setattr(trainer, "PERIOD", 8)
    monkeypatch.setattr(trainer, "TURN", 4)
    settings = {
        "data.name": "names", "training.window": 8, "training.batch_size": 4, "model.units": 4,
        "model.layers": 1, "training.log_every": 2, "training.sample_every": 8,
        "training.histogram_every": 8,
    }  # fmt: skip
    monkeypatch.setitem(trainer.FAMILIES, "lstm", settings)
    from benchmarks import peer_tfgen

    assert peer_tfgen.trainer("lstm").popitem()[1]() == 4
    silent, logging = (peer_tfgen.trainer("lstm", way)[""] for way in (False, True))
    assert (
        logging() == 4 and logging.run.state.step == 8
    )  # the first turn ends with all that is due
    events = []
    for name in ("progress", "histograms", "samples", "validated"):
        monkeypatch.setattr(
            logging.run.dashboard,
            name,
            lambda step, *others, name=name: events.append((name, step)),
        )
    for start in (8, 16):
        events.clear()
        assert [logging(), logging()] == [4, 4]
        assert sorted(events) == sorted(
            [("progress", start + done) for done in (2, 4, 6, 8)]
            + [(name, start + 8) for name in ("histograms", "samples")]
        )
    assert [silent(), silent()] == [4, 4]
