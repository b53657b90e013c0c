"""`forecast_frame`: forecasts of data frames, as frames."""

import warnings

from tfgen.data import open_sequences
from tfgen.data.contexts import read_context
from tfgen.data.forecast_columns import forecast_columns
from tfgen.data.frames import column_is_whole, column_names, frame_like
from tfgen.data.memory import as_read_before
from tfgen.errors import InputError
from tfgen.models.numbers.over_data import forecast_series
from tfgen.recipe import CONTEXT, DataConfig
from tfgen.values import whole_number


def forecast_frame(model, frame, horizon, num_samples, seed, told, **options):
    """Returns the forecast of each series of a frame, as a frame of the same library.

    The frame is read as the file that the model was trained on, by its recipe. Its last rows with
    values are the context, at most 1,000, what its lags reach back for, and what the model has room for; rows after them tell of
    the time to come what is known beforehand.

    Args:
        model: A model of numbers.
        frame: A frame of pandas, polars or their kin.
        horizon: Positions to forecast.
        num_samples: Futures to draw for each series.
        seed: An integer or None.
        told: `Told`, of which nothing is to be given: a frame says it in its columns.
        **options: Of `model.forecast`.

    Returns:
        A frame with the columns of `tfgen.data.forecast_columns.forecast_columns`: `id` (where the
        rows are of several series, or the recipe names a column of ids), `time` or `step`,
        `feature`, `mean`, and one for each quantile.

    Raises:
        InputError: The frame does not fit the model.
    """
    for name, value in told._asdict().items():
        if value is not None:
            raise InputError(
                f"A frame says times, classes, known and static numbers in its columns: leave "
                f"{name} out. Received: {name} of type {type(value).__name__}"
            )
    horizon = whole_number("horizon", horizon, 1)
    num_samples = whole_number("num_samples", num_samples, 1)
    config = _config(model, frame)
    sequences = model.processor.check(open_sequences(config, frame))
    for reason, (count, example) in sequences.report.dropped.items():
        warnings.warn(f"{count:,} x {reason} (first: {example})", stacklevel=3)
    length = CONTEXT + model.history
    if model.max_positions is not None:
        length = min(length, model.max_positions - horizon)
        if length < 1:
            raise InputError(
                "horizon must leave room for a context: less than the model's max_length, "
                f"{model.max_positions}. Received: horizon={horizon}"
            )
    contexts = [
        read_context(sequences, number, length, horizon, model.processor)
        for number in range(len(sequences))
    ]
    found = forecast_series(
        model, contexts, horizon, num_samples, seed, rows=model.rows_at_once, **options
    )
    columns = forecast_columns(contexts, found, sequences.features, list(found[0].quantiles))
    if config.id is None and len(sequences) == 1:
        del columns["id"]
    elif config.id is not None and column_is_whole(frame, config.id):
        columns["id"] = columns["id"].astype("int64")
    return frame_like(frame, columns)


def _config(model, frame):
    """Returns the `DataConfig` by which a frame is read, which may have further columns."""
    processor, names = model.processor, set(column_names(frame))
    if model.recipe is None:
        config = DataConfig(known=processor.known_names, static=processor.static_names)
    else:
        config = model.recipe.data
    changes = {}
    if names.issuperset(processor.feature_names):
        categories = (each.name for each in processor.features if each.is_category)
        changes["columns"] = processor.feature_names
        changes["categories"] = tuple(
            {**dict.fromkeys(config.categories), **dict.fromkeys(categories)}
        )
    return as_read_before(config, **changes)
