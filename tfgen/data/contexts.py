"""`read_context`: the end of a series, from which a forecast goes on."""

import dataclasses

import numpy as np

from tfgen.errors import InputError


@dataclasses.dataclass
class Context:
    """The end of a series, from which a forecast goes on.

    Attributes:
        id: What the series is called.
        values: float32 `(time, features)`.
        times: int64 `(time,)`, or None.
        known: float32 `(time + horizon, known)`, or None.
        label: Its class, or None.
        static: float32 `(static,)`, or None.
        future: int64 `(horizon,)`: the times of the forecast, or None.
        start: Of a series without a value when its forecast begins, in seconds since 1970.
    """

    id: str
    values: np.ndarray
    times: np.ndarray | None = None
    known: np.ndarray | None = None
    label: int | None = None
    static: np.ndarray | None = None
    future: np.ndarray | None = None
    start: int | None = None


def read_context(sequences, number, length, horizon, processor=None, backtest=False):
    """Returns the `Context` at the end of a series.

    The end is the last row with a value. Rows after it tell what is known beforehand. A new series,
    without any value, is forecast from its first row by its static and known columns.

    Args:
        sequences: `Sequences`.
        number: Which of them.
        length: The most rows to take.
        horizon: Rows to forecast.
        processor: `SequenceProcessor` that knows the times to come; None gives the forecast none.
        backtest: Whether the last `horizon` rows with values count as rows to come.

    Raises:
        InputError: The series has no value, and no static or known column either; or what is known
            beforehand ends too early.
    """
    identity, values = sequences.ids[number], sequences.values[number]
    observed = np.flatnonzero(~np.isnan(values).all(axis=1))
    told = sequences.static, sequences.known
    if not len(observed) and (backtest or not len(values) or all(each is None for each in told)):
        raise InputError(f"The series '{identity}' of {sequences.name} has no value")
    end = int(observed[-1]) + 1 if len(observed) else 0
    if backtest:
        end -= horizon
        if end < 1:
            raise InputError(
                f"The series '{identity}' of {sequences.name} has {end + horizon} rows: with "
                f"backtest, horizon must be less. Received: horizon={horizon}"
            )
    begin = max(0, end - length)
    context = Context(identity, values[begin:end])
    if sequences.times is not None:
        context.times = sequences.times[number][begin:end]
        context.start = None if end else int(sequences.times[number][0])
        if processor is not None and processor.step is not None:
            steps = np.arange(1, horizon + 1)
            last, ahead = (context.times[-1], steps) if end else (context.start, steps - 1)
            context.future = processor.times_after(last, ahead)
    if sequences.known is not None:
        context.known = sequences.known[number][begin : end + horizon]
        there = len(sequences.known[number]) - end
        if there < horizon:
            raise InputError(
                f"The series '{identity}' of {sequences.name} has {there} rows after its last "
                f"value: to tell {', '.join(sequences.known_names)} of the time to come it needs "
                "as many as horizon, with these columns filled and no values (backtest forecasts "
                f"its last rows instead). Received: horizon={horizon}"
            )
    if sequences.labels is not None:
        context.label = int(sequences.labels[number])
    if sequences.static is not None:
        context.static = sequences.static[number]
    return context
