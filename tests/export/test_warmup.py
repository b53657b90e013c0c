"""The requests that TensorFlow Serving warms up by, read by the messages that it publishes."""

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from tensorflow.core.framework import tensor_pb2

from tests.models.contract.rows import ROWS, model_of
from tfgen import export
from tfgen.errors import InputError
from tfgen.export import Function
from tfgen.export.warmup import PATH


def prediction_log():
    """The class of `PredictionLog` with the fields of tensorflow_serving/apis that are used."""
    made = descriptor_pb2.FileDescriptorProto(
        name="apis.proto", package="tensorflow.serving", syntax="proto3",
        dependency=["tensorflow/core/framework/tensor.proto"],
    )  # fmt: skip
    fields = {
        "ModelSpec": [(1, "name", None), (3, "signature_name", None)],
        "PredictRequest": [
            (1, "model_spec", "serving.ModelSpec"),
            (2, "inputs", "serving.PredictRequest.InputsEntry"),
        ],
        "PredictLog": [(1, "request", "serving.PredictRequest")],
        "PredictionLog": [(6, "predict_log", "serving.PredictLog")],
    }

    def add(message, number, name, of):
        kind = descriptor_pb2.FieldDescriptorProto
        field = message.field.add(name=name, number=number, label=kind.LABEL_OPTIONAL)
        field.type = kind.TYPE_MESSAGE if of else kind.TYPE_STRING
        if of:
            field.type_name = f".tensorflow.{of}"
        return field

    for name, own in fields.items():
        message = made.message_type.add(name=name)
        for each in own:
            add(message, *each)
    request = made.message_type[1]
    request.field[1].label = descriptor_pb2.FieldDescriptorProto.LABEL_REPEATED
    entry = request.nested_type.add(name="InputsEntry")
    entry.options.map_entry = True
    add(entry, 1, "key", None)
    add(entry, 2, "value", "TensorProto")
    pool = descriptor_pool.DescriptorPool()
    for file in _with_imports(tensor_pb2.DESCRIPTOR):
        pool.AddSerializedFile(file.serialized_pb)
    pool.AddSerializedFile(made.SerializeToString())
    return message_factory.GetMessageClass(
        pool.FindMessageTypeByName("tensorflow.serving.PredictionLog")
    )


def _with_imports(file):
    return [*(each for one in file.dependencies for each in _with_imports(one)), file]


def _array(value):
    return tf.make_ndarray(tensor_pb2.TensorProto.FromString(value.SerializeToString()))


def requests_of(folder):
    """The requests in a SavedModel: dicts of arrays."""
    log, found = prediction_log(), []
    for record in tf.data.TFRecordDataset(str(folder / PATH)).as_numpy_iterator():
        request = log.FromString(record).predict_log.request
        assert request.model_spec.signature_name == "serving_default"
        found.append({name: _array(value) for name, value in request.inputs.items()})
    return found


def test_a_server_reads_the_requests(tmp_path):
    """Of more bytes than one byte tells the length of."""
    specs = {"x": tf.TensorSpec([None], tf.float32), "name": tf.TensorSpec([], tf.string)}
    serve = Function("serving_default", lambda given: {"y": given["x"]}, specs)
    warm = [
        {"x": tf.range(count, dtype=tf.float32), "name": tf.constant("é")} for count in (1, 3, 5000)
    ]
    export.write([serve], tmp_path / "made", warm=warm)
    found = requests_of(tmp_path / "made")
    assert [list(each["name"].flat) for each in found] == [["é".encode()]] * 3
    for count, each in zip((1, 3, 5000), found, strict=True):
        np.testing.assert_array_equal(each["x"], np.arange(count))
    export.write([serve], tmp_path / "cold")
    assert not (tmp_path / "cold" / "assets.extra").exists()


def test_numbers_of_rows_that_are_none_are_refused(tmp_path, monkeypatch):
    model = model_of(ROWS[0])
    for warm, message in (([0], "warm must be an integer >= 1"), ([5000], "warm must be at most")):
        with pytest.raises(InputError, match=message):
            model.export(tmp_path / "model", warm=warm)
    assert not list(tmp_path.iterdir())
    monkeypatch.setitem(export.FORMATS, "mine", export.Format(print))
    with pytest.raises(InputError, match="The format 'mine' holds no requests"):
        model.export(tmp_path / "model", format="mine", warm=[1])


@pytest.mark.long
@pytest.mark.parametrize(
    "name", ["lstm-text", pytest.param("gru-numbers", marks=pytest.mark.exhaustive)]
)
def test_the_requests_of_a_model_are_answered(tmp_path, name):
    """Each once, of the numbers of rows that the model is compiled for."""
    model = model_of(next(row for row in ROWS if str(row) == name))
    model.export(tmp_path / "model", warm=[1, 3, 4, 17])
    serve = tf.saved_model.load(str(tmp_path / "model")).signatures["serving_default"]
    sizes = []
    for inputs in requests_of(tmp_path / "model"):
        found = serve(**{key: tf.constant(value) for key, value in inputs.items()})
        sizes.append(len(next(iter(value for value in found.values() if value.shape.rank))))
    assert sizes == [1, 4, 32]
