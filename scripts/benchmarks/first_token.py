"""How long a new process takes from `import tensorflow` to a first token."""

import os
import time

# With this in the environment, XLA leaves what it has compiled in a folder for the next start.
XLA_CACHE = "--tf_xla_persistent_cache_directory={} --tf_xla_persistent_cache_prefix=tfgen"


def first_token(sizes, folder, number):
    """Builds a transformer with random weights and samples one token, in a new process.

    Args:
        sizes: `TransformerSizes`.
        folder: Where XLA looks for what it has compiled, a folder for each round.
        number: The round.

    Returns:
        Seconds from the import of TensorFlow to the text, and a note; what is left to import, the
        weights and all compilation are in them.
    """
    os.environ["TF_XLA_FLAGS"] = XLA_CACHE.format(os.path.join(folder, str(number)))
    from tfgen.startup import import_tensorflow

    import_tensorflow()
    start = time.perf_counter()
    from benchmarks import peer_tfgen
    from benchmarks.sizes import random_prompts

    prompts = peer_tfgen.texts_of(random_prompts(sizes))
    texts = peer_tfgen.build(sizes).generate(prompts, 1, temperature=1.0, seed=0, strip_prompt=True)
    seconds = time.perf_counter() - start
    assert [len(text) for text in texts] == [1] * sizes.batch
    return seconds, ""
