"""What people write for `search=`."""

import copy
from types import SimpleNamespace

import pytest

from tfgen.errors import InputError
from tfgen.sampling.search import (
    BeamSearch,
    ContrastiveSearch,
    Search,
    Speculative,
    check_search,
)


class Model:
    tokenizer, engine = None, SimpleNamespace(stepper=None)


def test_defaults_and_kinds():
    assert BeamSearch() == BeamSearch(num_beams=4, length_penalty=1.0)
    assert ContrastiveSearch() == ContrastiveSearch(top_k=4, alpha=0.6)
    model = Model()
    assert Speculative(model) == Speculative(draft=model, draft_tokens=4)
    searches = [BeamSearch(2), ContrastiveSearch(2), Speculative(model, 2)]
    assert [search.kind for search in searches] == ["beam", "contrastive", "speculative"]
    for search in searches:
        assert isinstance(search, Search)
        assert check_search(search) is search
        assert len({search, copy.copy(search)}) == 1  # so that it can key a cache
    assert check_search(None) is None


def test_values_become_plain():
    search = BeamSearch(3, 1)
    assert (search.num_beams, search.length_penalty) == (3, 1.0)
    assert isinstance(search.length_penalty, float)
    assert BeamSearch(length_penalty=-0.5).length_penalty == -0.5
    assert [ContrastiveSearch(alpha=alpha).alpha for alpha in (0, 1)] == [0.0, 1.0]
    model = Model()
    assert Speculative(model).draft is model


@pytest.mark.parametrize(
    "make,found",
    [
        (lambda: BeamSearch(0), "num_beams must be at least 1. Received: num_beams=0"),
        (lambda: BeamSearch(2.5), "num_beams must be an integer. Received: num_beams=2.5"),
        (lambda: BeamSearch(True), "num_beams=True"),
        (lambda: BeamSearch(length_penalty=float("nan")), "length_penalty=nan"),
        (lambda: BeamSearch(length_penalty="1"), "length_penalty='1'"),
        (lambda: ContrastiveSearch(top_k=0), "top_k must be at least 1. Received: top_k=0"),
        (
            lambda: ContrastiveSearch(alpha=1.5),
            "alpha must be from 0 (greedy) to 1. Received: alpha=1.5",
        ),
        (lambda: ContrastiveSearch(alpha=-0.1), "alpha=-0.1"),
        (lambda: ContrastiveSearch(alpha=None), "alpha=None"),
        (lambda: Speculative(3), "e.g. tfgen.zoo.get(name). Received: draft=3"),
        (lambda: Speculative(None), "draft=None"),
        (lambda: Speculative("gru-names"), "draft='gru-names'"),
        (lambda: Speculative(Model(), 0), "draft_tokens must be at least 1"),
        (lambda: Speculative(Model(), 33), "draft_tokens must be at most 32"),
        (
            lambda: check_search("beam"),
            "BeamSearch(...), ContrastiveSearch(...), Speculative(...). Received: search='beam'",
        ),
        (lambda: check_search(BeamSearch), "Received: search=<class"),
    ],
)
def test_mistakes_are_told(make, found):
    with pytest.raises(InputError) as error:
        make()
    assert found in str(error.value)
    assert "\n" not in str(error.value)


def test_searches_are_frozen():
    with pytest.raises(AttributeError):
        BeamSearch().num_beams = 3


def test_statistics_of_speculation():
    search = Speculative(Model())
    search.count(proposed=8, accepted=6, passes=2, tokens=8)
    assert (search.statistics["acceptance"], search.statistics["tokens_per_pass"]) == (0.75, 4.0)
    assert search == Speculative(search.draft)  # they are no part of what was asked for
    search.count(proposed=0, accepted=0, passes=0, tokens=1)
    assert search.statistics["acceptance"] == 0
