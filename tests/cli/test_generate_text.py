"""`tfgen generate` with a model of text."""

import json

import pytest

from tfgen import cli
from tfgen.cli import generate_numbers


def test_generate_hands_over_only_what_was_given(run, model):
    assert run("generate", "verse") == (0, "|é0\n", "")
    assert run("generate", "verse", "--seed", "3", "A", "--top_k=4", "--strip_prompt")[0] == 0
    everything = [
        "--max-new-tokens", "7", "--temperature", "0.5", "--top-k", "4", "--top-p", "0.9",
        "--min-p", "0.1", "--repetition-penalty", "1.5", "--stop", "x", "--stop", "y\n",
    ]  # fmt: skip
    assert run("generate", "verse", "A", *everything)[0] == 0
    options = {"seed": None, "strip_prompt": False}
    assert model.calls == [
        ([""], 1, options),
        (["A"], 1, {"seed": 3, "strip_prompt": True, "top_k": 4}),
        (
            ["A"],
            1,
            {
                "max_new_tokens": 7,
                "temperature": 0.5,
                "top_k": 4,
                "top_p": 0.9,
                "min_p": 0.1,
                "repetition_penalty": 1.5,
                "stop": ["x", "y\n"],
                **options,
            },
        ),
    ]


def test_generate_takes_classes_of_text_by_number_or_name(run, model):
    assert run("generate", "verse", "--condition", "1", "--guidance-scale", "2")[0] == 0
    assert model.calls[0][2]["condition"] == 1 and model.calls[0][2]["guidance_scale"] == 2
    assert run("generate", "verse", "--condition", "cat")[0] == 0
    assert model.calls[1][2]["condition"] == "cat"
    model.classes = ("7", "8")  # names that are numbers
    assert run("generate", "verse", "--condition", "7")[0] == 0
    assert model.calls[2][2]["condition"] == "7"


@pytest.mark.parametrize("option", generate_numbers.OPTIONS)
def test_text_takes_no_options_of_numbers(fails, model, option):
    option = f"--{option.replace('_', '-')}"
    refused = f"{option} is for models of numbers, and verse writes text"
    assert refused in fails("generate", "verse", option, "2")
    assert model.calls == []


def test_generate_tells_several_texts_apart(run, model):
    _, out, _ = run("generate", "verse", "A", "B", "--num-samples", "2")
    assert out == (
        "--- prompt 1, sample 1 ---\nA|é0\n--- prompt 1, sample 2 ---\nA|é1\n"
        "--- prompt 2, sample 1 ---\nB|é0\n--- prompt 2, sample 2 ---\nB|é1\n"
    )
    _, out, _ = run("generate", "verse", "A", "B")
    assert out == "--- prompt 1 ---\nA|é0\n--- prompt 2 ---\nB|é0\n"
    # Behind -- even a word like an option is a prompt, spelt as it was.
    assert run("generate", "verse", "--", "--top_k")[1] == "--top_k|é0\n"
    # Bytes that are no UTF-8 come as surrogates.
    assert run("generate", "verse", "a\udcff")[1] == "a\ufffd|é0\n"


def test_generate_writes_files(run, model, tmp_path):
    assert run("generate", "verse", "A", "--out", tmp_path / "a.txt")[0] == 0
    assert (tmp_path / "a.txt").read_text("utf-8") == "A|é0\n"
    arguments = ["A", "B", "--num_samples=2", "--out", tmp_path / "a.jsonl"]
    assert run("generate", "verse", *arguments)[0] == 0
    lines = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text("utf-8").splitlines()]
    assert lines == [
        {"prompt": prompt, "sample": number, "text": f"{prompt}|é{number - 1}"}
        for prompt in "AB"
        for number in (1, 2)
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.jsonl", "a.txt", "entries"]


def test_generate_streams(run, fails, model):
    assert run("generate", "verse", "A", "--stream", "--seed", "3") == (0, "Aabc\n", "")
    assert model.calls == [("A", {"seed": 3, "strip_prompt": False})]
    for extra in (["B"], ["--num-samples", "2"], ["--out", "x"]):
        assert "--stream is for one prompt" in fails("generate", "verse", "A", "--stream", *extra)


def test_generate_refuses_before_it_loads(fails, model, tmp_path):
    assert "temperature must be >= 0. Received" in fails("generate", "verse", "--temperature", "-1")
    assert "top_p must be <= 1" in fails("generate", "verse", "--top-p", "2")
    assert "--num-samples must be >= 1" in fails("generate", "verse", "--num-samples", "0")
    assert "must hold no empty string" in fails("generate", "verse", "--stop", "")
    assert "'lstm' is a family and has no weights" in fails("generate", "lstm")
    assert "Did you mean 'verse'" in fails("generate", "verze")
    assert "no model: the folder does not exist" in fails("generate", "./nowhere")
    assert model.calls == []


def test_faults_of_files_are_one_line(fails, model, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    assert "file" in fails("generate", "verse", "--out", tmp_path / "file" / "x")

    def full(*_, **__):
        raise OSError(28, "No space left on device", "out.txt")

    monkeypatch.setattr(model, "generate", full)
    assert "out.txt: No space left on device" in fails("generate", "verse")

    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(model, "generate", stop)
    assert cli.main(["generate", "verse"]) == 130

    def fault(*_, **__):
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(model, "generate", fault)
    with pytest.raises(RuntimeError):  # keeps its traceback
        cli.main(["generate", "verse"])
