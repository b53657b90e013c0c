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


def write_npz(path, record, **arrays):
    np.savez(path, **arrays, **{"record.json": np.frombuffer(record, np.uint8)})


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: write_npz(path, b"[]"),
        lambda path: write_npz(path, b"null"),
        lambda path: write_npz(path, b"[" * 100_000),
        lambda path: write_npz(path, b"{}", **{"model/x@nothing": np.zeros(2, np.uint16)}),
        lambda path: write_npz(path, b"{}", **{"model/x@dtype": np.zeros(2, np.uint16)}),
        lambda path: write_npz(path, b"{}", **{"model/x@bfloat16": np.zeros(2, "f4")[:1]}),
        lambda path: write_npz(path, b"{}", a=np.array(["text"])),
        lambda path: np.savez_compressed(path, a=np.zeros(10**7)),
        lambda path: replaced(path, b"PK\x01\x02", b"PK\x01\x02", 6, b"\xff"),
        lambda path: replaced(path, b"(2, 3)", b"(9**9)"),
        lambda path: replaced(path, b"(2, 3)", b"(2, 9)"),
        lambda path: (path.unlink(), path.mkdir()),
    ],
)
def test_a_checkpoint_damaged_in_any_way_is_passed_over(tmp_path, damage):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(5, ARRAYS, {})
    checkpoints.save(10, ARRAYS, {})
    damage(tmp_path / "step-000000010.npz")
    with pytest.warns(UserWarning, match="step-000000010"):
        assert checkpoints.latest()[1]["step"] == 5


def replaced(path, old, new, offset=0, value=b""):
    content = bytearray(path.read_bytes())
    place = content.index(old)
    content[place : place + len(new)] = new
    content[place + offset : place + offset + len(value)] = value
    path.write_bytes(content)


def test_one_that_cannot_be_used_is_passed_over_and_the_reason_is_told(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    for step in (5, 10):
        checkpoints.save(step, ARRAYS, {})

    def only(step):
        def use(arrays, record):
            if record["step"] != step:
                raise InputError(f"{record['step']} does not fit")

        return use

    with pytest.warns(UserWarning, match="passed over .10 does not fit.; going on with step-0000"):
        assert checkpoints.latest(only(5))[1]["step"] == 5
    with pytest.raises(InputError, match="^10 does not fit$"):
        checkpoints.latest(only(7))


def test_the_latest_is_that_of_the_most_steps(tmp_path):
    checkpoints = Checkpoints(tmp_path, keep=3)
    for step in (999_999_999, 1_000_000_000, 7):
        checkpoints.save(step, ARRAYS, {})
    assert checkpoints.latest()[1]["step"] == 1_000_000_000
