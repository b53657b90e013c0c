"""A data set may become so many numbers in memory, and no more."""

import pytest

from tfgen.data.budget import MOST_NUMBERS, Budget
from tfgen.data.readers import Unreadable
from tfgen.errors import InputError


def test_what_was_taken_counts_and_what_is_refused_does_not():
    budget = Budget(10)
    budget.take("a", 6)
    with pytest.raises(
        Unreadable, match="b would become 5 numbers in memory beside the 6 taken"
    ) as e:
        budget.take("b", 5)
    assert e.value.reason == "too large" and isinstance(e.value, InputError)
    assert str(e.value).endswith("Received: data.max_numbers=10") and "\n" not in str(e.value)
    budget.take("c", 4)
    budget.check("d", 0)
    assert Budget().most == MOST_NUMBERS
