"""What tells data from other data."""

import dataclasses

import numpy as np

from tfgen.data import Feature, Sequences, open_text
from tfgen.training.fingerprint import difference, of_sequences, of_text


def made(**changes):
    values = [np.arange(6, dtype=np.float32).reshape(3, 2), np.ones([2, 2], np.float32)]
    times = [np.arange(3), np.arange(2)]
    features = (Feature("load"), Feature("sky", levels=("clear", "rain")))
    data = Sequences("made", "series", features, values, ["a", "b"], times=times)
    return of_sequences(dataclasses.replace(data, **changes))


def test_sequences_are_told_apart():
    assert difference(made(), made()) == "" == difference(None, made())
    values = [np.arange(6, dtype=np.float32).reshape(3, 2), np.full([2, 2], 2, np.float32)]
    for changes in (
        {"values": values},
        {"times": [np.arange(3) + 1, np.arange(2)]},
        {"ids": ["a", "c"]},
        {"labels": np.array([0, 1], np.int32)},
        {"static": np.ones([2, 1], np.float32)},
        {"features": (Feature("load"), Feature("sky", levels=("rain", "clear")))},
    ):
        assert difference(made(), made(**changes)) == "other contents of the same size"
    names = made(features=(Feature("load"), Feature("wind")))
    assert difference(made(), names) == "columns were load, sky and are load, wind"
    shorter = made(values=values[:1], times=[np.arange(3)], ids=["a"])
    told = "sequences were 2 and are 1; positions were 5 and are 3"
    assert difference(made(), shorter) == told
    # Where values are cut into sequences is part of them.
    joined = [np.concatenate(values)[:4], np.concatenate(values)[4:]]
    assert difference(made(values=values), made(values=joined))


def test_texts_are_told_apart_however_they_are_split(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("to be or not to be " * 99)
    one, other = (of_text(open_text(str(path), validation_fraction=f)) for f in (0.1, 0.3))
    assert one == other and one["characters"] == 19 * 99
    path.write_text("to be or not to bE " * 99)
    assert difference(one, of_text(open_text(str(path)))) == "other contents of the same size"
    path.write_text("to be or not to be " * 98)
    told = "characters were 1,881 and are 1,862"
    assert difference(one, of_text(open_text(str(path)))) == told
