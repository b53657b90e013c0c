"""How long sequences may be: what a person asks for, and the positions of a model."""

from tfgen.errors import InputError
from tfgen.values import whole_number

DAY = 86400  # seconds
_SEASONS = range(4, 61)  # positions of a season that is forecast as a whole


def length_of(model, length):
    """The positions that a person asks a model for; the default is no more than it has."""
    most = model.max_positions
    if length is None:
        length = model.generation.length or model.processor.length
        return length if most is None else min(length, most)
    length = whole_number("length", length, 1)
    if most is not None and length > most:
        raise InputError(
            f"This model has {most} positions (max_length), so length can be at most {most}. "
            f"Received: length={length}"
        )
    return length


def check_room(most, time, horizon):
    """Refuses series, those to come included, of more than `most` positions; None is no end."""
    if most is None or time + horizon <= most:
        return
    if not horizon:
        raise InputError(
            f"This model has {most} positions (max_length), so a series can have at most {most}"
            f": give the last ones alone. Received: length={time}"
        )
    if horizon >= most:
        raise InputError(
            f"This model has {most} positions (max_length), so horizon can be at most "
            f"{most - 1}. Received: horizon={horizon}"
        )
    raise InputError(
        f"This model has {most} positions (max_length), so with horizon={horizon} the context "
        f"can have at most {most - horizon}: give its last ones alone. "
        f"Received: length={time + horizon}"
    )


def usual_season(processor):
    """Positions in a day, if there are at least two, else 1."""
    step = getattr(processor, "step", None)
    return max(1, round(DAY / step)) if step and step <= DAY / 2 else 1


def usual_horizon(processor, held):
    """Positions of a forecast: a day, if it has several, else a season, else 24.

    Args:
        processor: A `SequenceProcessor`. Of the seasons that it found, the strongest one counts if
            it has from 4 to 60 positions.
        held: Of each sequence, how many positions may be forecast: the horizon is no more.
    """
    day = usual_season(processor)
    season = (getattr(processor, "seasons", None) or [0])[0]
    usual = day if day > 1 else season if season in _SEASONS else 24
    return max(1, min(usual, max(held)))


def positions_before(starts, stops, horizon):
    """The most positions that a forecast sees before it, of what comes before all that is forecast.

    Args:
        starts, stops: Of each series the first position that is forecast, and that after the last.
        horizon: Positions of a forecast.
    """
    room = max(stops) - horizon
    held = [start for start, stop in zip(starts, stops, strict=True) if start < stop]
    return min(room, max(held, default=0) or room)


def context_for(model, context, horizon, before):
    """The positions that a model sees before each of many forecasts.

    Args:
        model: A `NumbersModel`.
        context: As a person gave it; None takes the training window, and before it what the longest
            lag reaches back for.
        horizon: Positions of a forecast.
        before: The most positions that there are before a forecast.
    """
    check_room(model.max_positions, 1, horizon)
    if context is None:
        recipe = getattr(model, "recipe", None)
        context = recipe.training.window if recipe else 4 * horizon
        context += getattr(model, "history", 0)
    if model.max_positions is not None:
        before = min(before, model.max_positions - horizon)
    return max(1, min(context, before))
