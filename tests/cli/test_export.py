"""`tfgen export`."""

import textwrap


def test_export_writes_a_numbered_folder_and_never_over_one(run, fails, model, tmp_path):
    code, out, _ = run("export", "verse", tmp_path / "served")
    assert code == 0 and model.calls == [tmp_path / "served" / "1"]
    # What it prints is Python.
    compile(textwrap.dedent(out.partition("\n\n")[2]), "printed", "exec")
    assert str(tmp_path / "served" / "1") in out
    (tmp_path / "served" / "1" / "x").write_text("")
    assert "there is something already" in fails("export", "verse", tmp_path / "served")
    (tmp_path / "file").mkdir()
    (tmp_path / "file" / "1").write_text("")
    assert "there is something already" in fails("export", "verse", tmp_path / "file")


def test_warm_takes_whole_numbers(run, fails, model, tmp_path):
    for wrong in ("0", "1.5", "1,-2", "one", "", "1,,2", "nan"):
        told = fails("export", "verse", tmp_path / "served", f"--warm={wrong}")
        assert "--warm" in told and not (tmp_path / "served").exists()
    assert run("export", "verse", tmp_path / "served", "--warm", "1,16")[0] == 0
    assert model.warm == [1, 16]
