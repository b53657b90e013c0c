"""Writing a SavedModel that runs where only TensorFlow is installed."""

import contextlib
import itertools
import logging

import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from tfgen.export.warmup import write_warmup
from tfgen.files import atomic_folder, os_error
from tfgen.values import check_text


def write_saved_model(functions, path, verbose=False, warm=()):
    """Writes functions as the signatures of a SavedModel.

    The functions are traced as they are, without AutoGraph, and may call compiled functions: those
    are compiled where the model is served, at the first call of each shape. Variables that they
    use are stored with them; everything else must be constants. Where a function has a gradient of
    its own, the stored one has that of its operations.

    Args:
        functions: List of `tfgen.export.Function`s, one of which is called `serving_default`.
        path: Folder to write; it must not exist or be empty.
        verbose: Whether to print each signature.
        warm: See `write_warmup`.

    Raises:
        InputError: If the folder holds something already.
        OSError: If it cannot be written; nothing is left then.
    """
    check_text("filepath", path)  # TensorFlow writes to no other paths
    with atomic_folder(path, replace=False) as folder, _quiet():
        # Traced once: TensorFlow traces a `tf.function` again while it saves it.
        traced = {
            function.name: tf.function(
                _with_named_inputs(function),
                input_signature=_named(function.specs),
                autograph=False,
            ).get_concrete_function()
            for function in functions
        }
        module = tf.Module()
        module.used = list(
            {id(each): each for made in traced.values() for each in made.variables}.values()
        )
        for name, function in traced.items():
            setattr(module, name, function)
        options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
        try:
            tf.saved_model.save(module, str(folder), traced, options)
        except tf.errors.OpError as error:
            told = os_error(str(error), path)
            if told is None:
                raise
            raise told from error
        _forget_custom_gradients(folder)
        if warm:
            write_warmup(folder, warm)
    if verbose:
        for name, function in traced.items():
            print(f"{name}: {function.pretty_printed_signature()}")


def _forget_custom_gradients(folder):
    """Takes the names of gradients, which are not saved, off the operations they belong to.

    With them each opening would warn of every function that they are missing from. What a signature
    computes has its own gradients in it already. Saved gradients would take as long again to write,
    and for a diffusion model half as long again to open.
    """
    path = folder / "saved_model.pb"
    saved = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    for graph in (meta.graph_def for meta in saved.meta_graphs):
        functions = (function.node_def for function in graph.library.function)
        for node in itertools.chain(graph.node, *functions):
            node.attr.pop("_gradient_op_type", None)
    path.write_bytes(saved.SerializeToString(deterministic=True))
    (folder / "fingerprint.pb").unlink()  # of the file as it was


def _named(specs):
    """One positional argument after another, each named as its signature's input."""
    return [tf.TensorSpec(spec.shape, spec.dtype, name=name) for name, spec in specs.items()]


def _with_named_inputs(function):
    def endpoint(*values):
        return function.call(dict(zip(function.specs, values)))

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
