"""What TensorBoard reads in a folder of event files."""


def open_events(folder):
    """TensorBoard's own reader of a folder's event files, which keeps all that it finds."""
    from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator

    return EventAccumulator(str(folder), {"tensors": 0}).Reload()


def scalars(folder):
    """Dict from a tag to its `(step, value)`s, as TensorBoard shows them, of a folder's numbers."""
    from tensorboard.util import tensor_util

    events = open_events(folder)
    return {
        tag: [
            (event.step, float(tensor_util.make_ndarray(event.tensor_proto)))
            for event in events.Tensors(tag)
        ]
        for tag in events.PluginTagToContent("scalars")
    }
