"""A child that was forked after TensorFlow was used raises, where it would wait for ever."""

import inspect
import os
import signal

import numpy as np
import tensorflow as tf

from tfgen.models import make as new_model
from tfgen.models.text.model import TextModel


def in_child(function):
    """What a function does in a forked child: its result or `"raised"`; dies if it waits."""
    child = os.fork()
    if not child:
        signal.alarm(120)
        try:
            os._exit(function() or 0)
        except RuntimeError as error:
            os._exit(10 if "spawn" in str(error) else 11)
        except BaseException:
            os._exit(12)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return "raised" if code == 10 else code


def test_a_forked_child_raises_and_its_parent_goes_on():
    text = new_model("lstm", units=4, layers=1, seed=1)
    numbers = new_model("lstm", "numbers", units=4, layers=1, components=2, seed=1)
    ids = np.zeros((1, 3), np.int32)
    text.compile()
    before = text(ids).numpy()
    for call in (
        lambda: text.generate("a", 3),
        lambda: list(text.stream("a", 3)),
        lambda: text.score(["abc"]),
        lambda: text.encode(["abc"]),
        lambda: text(ids),
        lambda: text.fit(tf.data.Dataset.from_tensors(ids), verbose=0),
        lambda: numbers.generate(2, 3),
        lambda: numbers.forecast(np.zeros((4, 1)), 2),
        lambda: numbers.impute(np.zeros((4, 1))),
        lambda: numbers.export("nowhere"),
        lambda: new_model("lstm", units=4, layers=1),
    ):
        assert in_child(call) == "raised"
    assert in_child(lambda: 7) == 7
    assert in_child(lambda: os.execvp("true", ["true"])) == 0
    np.testing.assert_array_equal(text(ids).numpy(), before)


def test_a_method_keeps_its_signature_and_its_words():
    names = list(inspect.signature(TextModel.generate).parameters)
    assert names[:2] == ["self", "prompts"] and "Args:" in TextModel.generate.__doc__
