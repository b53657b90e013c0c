"""A profile of chosen steps, for the tab "Profile" of TensorBoard."""

import contextlib

import tensorflow as tf

# What stands around a step that is not profiled.
NOTHING = contextlib.nullcontext()


class Profile:
    """Records chosen steps, each by its number, and all that happens between them.

    It is a context: however a run ends, what was recorded until then is written.

    Args:
        steps: `range` of the steps, counted from 1; those that are past are left out.
        folder: Where TensorBoard finds a run; the profile is in `plugins/profile` there.
    """

    def __init__(self, steps, folder):
        self.steps, self.folder = steps, folder
        self.active = False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._stop()

    def step(self, number):
        """The context of a step: of nothing, if it is not one of the chosen ones."""
        return self._recorded(number) if number in self.steps else NOTHING

    @contextlib.contextmanager
    def _recorded(self, number):
        if not self.active:
            tf.profiler.experimental.start(str(self.folder))
            self.active = True
        # `_r` marks the root of a step, by which the tab tells steps apart.
        with tf.profiler.experimental.Trace("train", step_num=number, _r=1):
            yield
        if number == self.steps[-1]:
            self._stop()

    def _stop(self):
        if not self.active:
            return
        self.active = False
        if tf.config.list_logical_devices("GPU"):  # which may still be at the last step
            with contextlib.suppress(tf.errors.OpError):  # several workers know no such wait
                tf.test.experimental.sync_devices()
        tf.profiler.experimental.stop()
