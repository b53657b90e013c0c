"""scripts/solvers.py: the table, from known scores."""

import solvers

from tfgen import evaluation, zoo
from tfgen.models import make
from tfgen.recipe import Recipe


def test_the_table(monkeypatch, capsys):
    model = make("unet1d", of="numbers", width=8, multipliers=(1,), blocks=1, groups=2)
    model.recipe = Recipe("unet1d").override({"data.name": "pendigits"})
    asked = []

    def evaluate(given, data, **options):
        asked.append((given.generation.solver, given.generation.num_steps, options))
        score = {"mean": given.generation.num_steps / 1000, "spread": 0.002, "real": 0.01}
        return {"generation": {"length": 8, "scores": {"context_fid": score}}}

    monkeypatch.setattr(zoo, "get", lambda name: model)
    monkeypatch.setattr(evaluation, "evaluate_sequences", evaluate)
    monkeypatch.setattr(solvers, "timed", lambda model, length: 0.5 * length)
    monkeypatch.setattr(solvers, "ROWS", (("ddim", 100), ("heun", 10)))
    assert solvers.main(["mine", "--runs", "3", "--samples", "70"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "| ddim | 100 | 100 | 0.1000 ± 0.0020 | 1.00 | 4.000 |" in lines
    assert "| heun | 10 | 19 | 0.0100 ± 0.0020 | 0.10 | 4.000 |" in lines
    assert lines[-1] == "real beside real: 0.0100"
    assert [one[:2] for one in asked] == [("ddim", 100), ("heun", 10)]
    assert asked[0][2]["runs"] == 3 and asked[0][2]["windows"] == 70


def test_what_is_no_diffusion_model(capsys):
    assert solvers.main(["gru-weather"]) == 2
    assert capsys.readouterr().err == "solvers.py: error: gru-weather is no diffusion model\n"
