"""Writing a SavedModel that runs where only TensorFlow is installed."""

import contextlib
import logging

import keras
import tensorflow as tf

from tfgen.files import atomic_folder


def write_saved_model(path, endpoints, verbose=False):
    """Writes functions as the signatures of a SavedModel.

    The functions are traced as they are, without AutoGraph, and may call compiled functions: those
    are compiled where the model is served, at the first call of each shape. Variables that they
    use are stored with them; everything else must be constants.

    Args:
        path: Folder to write; it must not exist or be empty.
        endpoints: Dict from a signature's name to `(function, specs)`. `specs` is a dict from
            argument names to `tf.TensorSpec`; the function is called with these keywords and
            returns a dict of tensors. The signature `serving_default` must be among them.
        verbose: Let Keras print the endpoints.

    Raises:
        InputError: If the folder holds something already.
    """
    with atomic_folder(path, replace=False) as folder:
        archive = keras.export.ExportArchive()
        for name in sorted(endpoints, key=lambda name: name != "serving_default"):
            function, specs = endpoints[name]
            archive.add_endpoint(name, _with_named_inputs(function, specs), _named(specs))
        with contextlib.nullcontext() if verbose else _quiet():
            archive.write_out(str(folder), verbose=verbose)


def _named(specs):
    """One positional argument after another, each named as its signature's input."""
    return [tf.TensorSpec(spec.shape, spec.dtype, name=name) for name, spec in specs.items()]


def _with_named_inputs(function, specs):
    def endpoint(*values):
        return function(**dict(zip(specs, values)))

    return endpoint


@contextlib.contextmanager
def _quiet():
    """TensorFlow logs about every asset it writes; a person has nothing to do about it."""
    logger = tf.get_logger()
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
