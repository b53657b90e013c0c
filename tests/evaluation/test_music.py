"""Likelihoods of music: per frame and per note, without the end of a piece, on the data's own test."""

import json

import numpy as np
import pytest
from eager import eagerly

from tfgen import models
from tfgen.data import open_sequences
from tfgen.evaluation.likelihood import score_likelihood
from tfgen.evaluation.sequences import _open
from tfgen.preprocessing import SequenceProcessor
from tfgen.recipe import DataConfig

PIECES = [[[60, 62], [61], [60, 61, 62], []], [[62], [60, 62], [61]]]


@pytest.fixture
def data(tmp_path):
    path = tmp_path / "chords.json"
    path.write_text(json.dumps({"train": PIECES * 2, "valid": PIECES[:1], "test": PIECES}))
    return DataConfig(name=str(path), pitches="60:62")


@pytest.mark.parametrize("head", ["chain", pytest.param("independent", marks=pytest.mark.long)])
def test_nats_are_per_frame_and_note_and_without_ends(data, head):
    sequences = open_sequences(data)
    processor = SequenceProcessor.fit(sequences.split(0.1)[0])
    model = models.make("gru", "numbers", processor=processor, units=4, layers=1, head=head, seed=1)
    with eagerly():
        parts, *_ = _open(model, data, "test", "all")
        assert parts.held.ids == ["test 0", "test 1"]
        section = score_likelihood(model, parts)
        whole = model.score(sequences.values[-2:])["log_likelihood"].sum()
        inside = model.score(sequences.values[-2:], ends=False)["log_likelihood"].sum()
        ends = 0
        for values in sequences.values[-2:]:
            logits = model({"values": values[None]})["categories"]["logits"].numpy()[0, :, -2:]
            last = np.arange(len(values)) == len(values) - 1
            ends += (logits[:, 0] - np.logaddexp(*logits.T))[~last].sum()
            ends += (logits[:, 1] - np.logaddexp(*logits.T))[last].sum()
    assert whole - inside == pytest.approx(ends, rel=1e-5) and ends < -1
    assert section["log_likelihood"] == pytest.approx(inside, rel=1e-6)
    assert section["nats_per_frame"]["mean"] == pytest.approx(-inside / 7, rel=1e-6)
    assert section["nats_per_note"]["mean"] == pytest.approx(-inside / 10, rel=1e-6)
