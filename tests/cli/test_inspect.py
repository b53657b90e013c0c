"""`tfgen inspect`."""

from tfgen.recipe import DataConfig


def test_inspect_prints_what_the_library_says(run, fails, monkeypatch):
    configs = []

    def inspect_data(config):
        configs.append(config)
        return f"what is in {config.name}"

    monkeypatch.setattr("tfgen.report.inspection.inspect_data", inspect_data)
    monkeypatch.setattr("tfgen.data.data_kind", lambda config: "text")
    assert run("inspect", "a.csv", "--column", "c") == (0, "what is in a.csv\n", "")
    fraction = ["--set", "data.validation-fraction=0.5"]
    assert run("inspect", "none", "--kind", "text", *fraction) == (0, "what is in none\n", "")
    assert configs == [
        DataConfig(name="a.csv", column="c"),
        DataConfig(name="none", kind="text", validation_fraction=0.5),
    ]
    assert "--out draws sequences of numbers, and a.txt is text" in fails(
        "inspect", "a.txt", "--out", "x.png"
    )
    assert "Did you mean 'data.bounds'" in fails("inspect", "a.txt", "--set", "data.bound=x=0:")
    assert "--set takes data.KEY=VALUE here" in fails("inspect", "a", "--set", "model.units=3")
    assert "Did you mean 'series'" in fails("inspect", "a.txt", "--kind", "serie")
    assert "give one of the two" in fails("inspect", "a.csv", "--column", "c", "--columns", "a,b")
    assert "--columns takes names with commas" in fails("inspect", "a.csv", "--columns", "a,,b")
    assert len(configs) == 2


def test_inspect_reads_and_draws_numbers(run, fails, table, tmp_path):
    code, out, _ = run("inspect", table, "--id", "place", "--label", "region")
    assert code == 0
    assert "2 sequences, 10 positions, 2 features" in out and "classes: 2: coast 1, hill 1" in out
    picture = tmp_path / "a.png"
    arguments = ["--id", "place", "--columns", "temp", "--time", "time", "--out", picture]
    code, out, _ = run("inspect", table, *arguments, "--set", "data.bounds=temp=0:50")
    assert code == 0 and out.endswith(f"\nWrote {picture}\n")
    assert "1 feature" in out and "bounds 0:50" in out
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert "10,992 sequences" in run("inspect", "pendigits", "--out", tmp_path / "b.png")[1]
    assert (tmp_path / "b.png").is_file()
    assert "inspect draws a .png" in fails("inspect", table, "--out", tmp_path / "a.svg")
    assert "Did you mean 'temp'" in fails("inspect", table, "--columns", "tmp")
    # As text it is its lines or one of its columns.
    assert "vocabulary" in run("inspect", table, "--column", "sky")[1]


def test_a_table_of_text_alone_tells_how_to_read_it(fails, tmp_path):
    path = tmp_path / "texts.csv"
    path.write_text("text\n" + "".join(f"a text of number {i}\n" for i in range(1200)))
    for command in (
        ["inspect", path],
        ["train", "lstm", "--data", path, "--logdir", tmp_path / "x"],
    ):
        assert "There is no column of values" in (error := fails(*command))
        assert "(--column NAME reads a column as text)" in error
    assert not (tmp_path / "x").exists()
