"""How long a new process takes from `import tensorflow` to a first token."""

import time

from tfgen.startup import import_tensorflow

import_tensorflow()


def first_token(sizes):
    """Builds a transformer with random weights and draws one token.

    Call it once in a new process.

    Returns:
        Seconds from the import of TensorFlow to the model, and to the text: what is left to import,
        the weights and all compilation are in them.
    """
    start = time.perf_counter()
    from benchmarks import peer_tfgen
    from benchmarks.sizes import random_prompts

    model = peer_tfgen.build(sizes)
    built = time.perf_counter() - start
    prompts = peer_tfgen.texts_of(random_prompts(sizes))
    texts = model.generate(prompts, 1, temperature=1.0, seed=0, strip_prompt=True)
    seconds = time.perf_counter() - start
    assert [len(text) for text in texts] == [1] * sizes.batch
    return built, seconds
