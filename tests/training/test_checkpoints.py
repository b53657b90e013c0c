import numpy as np
import pytest

from tfgen.errors import InputError
from tfgen.training.checkpoints import Checkpoints, read_arrays, write_arrays

ARRAYS = {"a/kernel": np.arange(6, dtype=np.float32).reshape(2, 3), "count": np.array(7)}


def test_what_is_written_is_read(tmp_path):
    import ml_dtypes

    arrays = {**ARRAYS, "half": np.array([1.5, -2.0], ml_dtypes.bfloat16)}
    write_arrays(tmp_path / "x.npz", arrays, {"best": {"loss": 0.1}, "step": 3})
    again, record = read_arrays(tmp_path / "x.npz")
    assert record == {"best": {"loss": 0.1}, "step": 3}
    for name, array in arrays.items():
        assert again[name].dtype == array.dtype
        np.testing.assert_array_equal(again[name], array)


def test_the_latest_few_are_kept(tmp_path):
    checkpoints = Checkpoints(tmp_path, keep=2)
    for step in (5, 10, 15):
        checkpoints.save(step, ARRAYS, {})
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "step-000000010.npz",
        "step-000000015.npz",
    ]
    assert checkpoints.latest()[1]["step"] == 15


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_a_torn_checkpoint_is_passed_over_with_a_warning(tmp_path, share):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(5, ARRAYS, {})
    checkpoints.save(10, ARRAYS, {})
    path = tmp_path / "step-000000010.npz"
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.warns(UserWarning, match="step-000000010"):
        assert checkpoints.latest()[1]["step"] == 5


def test_there_may_be_none(tmp_path):
    assert Checkpoints(tmp_path / "none").latest() is None


def test_a_failed_write_leaves_the_one_before(tmp_path, monkeypatch):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(5, ARRAYS, {})
    monkeypatch.setattr(np, "savez", lambda *a, **k: (_ for _ in ()).throw(OSError(28, "No space")))
    with pytest.raises(OSError, match="No space"):
        checkpoints.save(10, ARRAYS, {})
    assert [p.name for p in tmp_path.iterdir()] == ["step-000000005.npz"]


def test_a_pickle_is_not_opened(tmp_path):
    np.savez(tmp_path / "x.npz", evil=np.array([object()], object))
    with pytest.raises(InputError, match="cannot be read"):
        read_arrays(tmp_path / "x.npz")
