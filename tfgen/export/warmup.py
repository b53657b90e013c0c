"""Requests by which TensorFlow Serving warms up a SavedModel, before it answers others."""

import tensorflow as tf

# Where it looks for them, in a SavedModel.
PATH = "assets.extra/tf_serving_warmup_requests"


def write_warmup(folder, requests):
    """Writes requests into a SavedModel, a TFRecord of `PredictionLog`s.

    These are few fields of `tensorflow_serving/apis/prediction_log.proto`, `predict.proto` and
    `model.proto`, whose package would bring a TensorFlow of its own.

    Args:
        folder: `pathlib.Path` of the SavedModel.
        requests: List of dicts of tensors, the inputs of `serving_default`.
    """
    path = folder / PATH
    path.parent.mkdir()
    with tf.io.TFRecordWriter(str(path)) as writer:
        for inputs in requests:
            writer.write(_field(6, _field(1, _request(inputs))))  # predict_log, request


def _request(inputs):
    """A `PredictRequest`: of a `ModelSpec` the signature's name, and a map of `TensorProto`s."""
    entries = [
        _field(1, name.encode()) + _field(2, tf.make_tensor_proto(value).SerializeToString())
        for name, value in inputs.items()
    ]
    return _field(1, _field(3, b"serving_default")) + b"".join(_field(2, each) for each in entries)


def _field(number, payload):
    """A field of a message, as its bytes: the wire type 2, of what has a length."""
    return bytes([number << 3 | 2]) + _varint(len(payload)) + payload


def _varint(number):
    found = b""
    while number >= 128:
        found, number = found + bytes([number % 128 | 128]), number // 128
    return found + bytes([number])
