"""How often XLA compiles, and what it keeps, over requests of any number of rows."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.models.contract.rows import ROWS, model_of

SIZES = 7  # of 1 to 40 rows: 1, 2, 4, 8, 16, 32 and 48

# Runs where only TensorFlow is installed. XLA writes files for each module that it compiles.
SERVER = """
import json, os, random, sys
import tensorflow as tf

folder, dumped, requests = sys.argv[1:]
serve = tf.saved_model.load(folder).signatures["serving_default"]
prompts = "prompts" in serve.structured_input_signature[1]

def call(rows):
    if prompts:
        assert serve(prompts=tf.constant(["ab"] * rows))["texts"].shape[0] == rows
    else:
        told = {"condition": tf.constant([0]), "start_time": tf.constant([0], tf.int64)}
        assert serve(num_samples=tf.constant(rows), **told)["values"].shape[0] == rows

def megabytes():
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20

def compiled():
    return len({name.partition(".")[0] for name in os.listdir(dumped)})

for rows in range(1, 41):
    call(rows)
found = {"compiled": compiled()}
draw = random.Random(0)
for number in range(int(requests)):
    if number == int(requests) // 4:  # by when the allocator has what it takes
        before = megabytes()
    call(draw.randint(1, 40))
found |= {"again": compiled() - found["compiled"], "more": megabytes() - before}
print(json.dumps(found))
"""


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["lstm-text", pytest.param("gru-numbers", marks=pytest.mark.exhaustive)]
)
def test_a_server_compiles_for_few_sizes_and_its_memory_is_flat(tmp_path, name):
    row = next(each for each in ROWS if str(each) == name)
    model_of(row).export(tmp_path / "served")
    (tmp_path / "dumped").mkdir()
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_dump_to={tmp_path}/dumped"
    done = subprocess.run(
        [sys.executable, "-c", SERVER, tmp_path / "served", tmp_path / "dumped", "200"],
        capture_output=True, text=True, cwd=tmp_path, env={**os.environ, "XLA_FLAGS": flags},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["compiled"] == SIZES and found["again"] == 0
    assert found["more"] < 8, found


LIVE = """
import os, sys
sys.path[:0] = [{root!r}, {tests!r}]
from models.contract.rows import ROWS, TIME, model_of, series

def compiled():
    return len({{name.partition(".")[0] for name in os.listdir({dumped!r})}})

row = next(each for each in ROWS if str(each) == {name!r})
model, counts = model_of(row), {{}}
def count(what, call, rows=range(1, 41)):
    before = compiled()
    for number in rows:
        call(number)
    counts[what] = compiled() - before

if row.of == "text":
    from tfgen.sampling.search import BeamSearch
    count("generate", lambda rows: model.generate(["ab"] * rows, 3))
    count("prompts", lambda size: model.generate(["a" * size] * 2, 3), (1, 30, 64, 100))
    count("score", lambda rows: model.score(["ab"] * rows))
    count("encode", lambda rows: model.encode(["ab"] * rows))
    count("beam", lambda rows: model.generate(["ab"] * rows, 3, search=BeamSearch(2)), range(1, 9))
else:
    values, times = series().values[0], series().times[0]
    def told(rows, size=TIME):
        return {{"times": [times[:size]] * rows, "condition": ["q"] * rows}}
    count("generate", lambda rows: model.generate(rows, 3, **row.told))
    count("forecast", lambda rows: model.forecast(values[None, :TIME], 3, rows, **told(1)))
    count("series", lambda rows: model.forecast([values[:TIME]] * rows, 3, 2, **told(rows)))
    count("context", lambda size: model.forecast(values[None, :size], 3, 2, **told(1, size)), (1, 9, 33))
    gap = values[:12].copy(); gap[4] = float("nan")
    count("impute", lambda rows: model.impute(gap, rows, particles=8, times=times[:12], condition="q"), range(1, 9))
import json
print(json.dumps(counts))
"""
# A forecast runs the loop of `generate`; that of 2 samples of 40 series has rows for two sizes more.
EXPECTED = {
    "lstm-text": {"generate": SIZES, "prompts": 0, "score": 0, "encode": 0, "beam": 4},
    "gru-numbers": {"generate": SIZES, "forecast": 0, "series": 2, "context": 0, "impute": 4},
}


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [pytest.param("lstm-text", marks=pytest.mark.exhaustive), "gru-numbers"]
)
def test_live_models_compile_for_few_sizes(tmp_path, name):
    root = Path(__file__).parents[2]
    (tmp_path / "dumped").mkdir()
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_dump_to={tmp_path}/dumped"
    code = LIVE.format(
        root=str(root), tests=str(root / "tests"), dumped=f"{tmp_path}/dumped", name=name
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path,
        env={**os.environ, "XLA_FLAGS": flags},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == EXPECTED[name]
