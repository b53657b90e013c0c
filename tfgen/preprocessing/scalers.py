"""Scalers by name, those of each series, and chains."""

import keras
import tensorflow as tf

from tfgen.arguments import argument_names
from tfgen.errors import unknown
from tfgen.preprocessing.affine_scalers import MinMaxScaler, RobustScaler, StandardScaler
from tfgen.preprocessing.log_scalers import Log1pScaler, MuLawScaler
from tfgen.preprocessing.scaler import Scaler, align, as_float, keep_missing
from tfgen.preprocessing.whitening_scaler import WhiteningScaler


@keras.saving.register_keras_serializable(package="tfgen")
class NoScaler(Scaler):
    """Leaves the numbers as they are."""

    def call(self, values, scale=None):
        return as_float(values)

    def inverse(self, scaled, scale=None):
        return as_float(scaled)

    def log_slope(self, values, scale=None):
        return keep_missing(as_float(values), 0.0)

    def scaled_scale(self, scale):
        return scale


@keras.saving.register_keras_serializable(package="tfgen")
class MeanScaler(Scaler):
    """Divides each series by its own scale, its mean absolute value, which every call hands in.

    Series of very different sizes look alike to the network then, as in DeepAR (Salinas et al.,
    arXiv:1704.04110, section 3.3). It has no constants. Where the scale is 0, 1 is taken.

    Raises:
        ValueError: In a call, without a scale.
    """

    needs_scale = True

    def _aligned(self, values, scale):
        if scale is None:
            name = type(self).__name__
            raise ValueError(f"{name} needs the scale of each series. Received: scale=None")
        return align(scale, values)

    def call(self, values, scale=None):
        values = as_float(values)
        return values / self._aligned(values, scale)

    def inverse(self, scaled, scale=None):
        scaled = as_float(scaled)
        return scaled * self._aligned(scaled, scale)

    def log_slope(self, values, scale=None):
        values = as_float(values)
        return keep_missing(values, -tf.math.log(self._aligned(values, scale)))

    def scaled_bounds(self, low, high):
        raise ValueError(f"The bounds of a {type(self).__name__} differ from series to series")


@keras.saving.register_keras_serializable(package="tfgen")
class MedianScaler(MeanScaler):
    """Divides each series by its median absolute value, which a jump or an outlier does not move.

    Where that is 0, as of a series of which most is 0, the mean is taken.
    """

    statistic = "median"


@keras.saving.register_keras_serializable(package="tfgen")
class Chain(Scaler):
    """One scaler after the other.

    Args:
        scalers: List of at most 8 scalers, or of records of them as `scaler_record` gives them.
        **kwargs: `name` and the like of a Keras layer.

    Raises:
        ValueError: If one of them is none, or a scale cannot be told: a `MeanScaler` may follow
            only scalers that leave zero where it is, and do not stretch (log1p).
    """

    def __init__(self, scalers=(), **kwargs):
        super().__init__(**kwargs)
        if not isinstance(scalers, (list, tuple)) or len(scalers) > _MOST:
            raise ValueError(
                f"scalers must be a list of at most {_MOST}. Received: {scalers!r:.80}"
            )
        self.scalers = [build_scaler(scaler) for scaler in scalers]
        for before, scaler in zip(self.scalers, self.scalers[1:]):
            if scaler.needs_scale and not isinstance(before, (Log1pScaler, NoScaler)):
                names = [type(scaler).__name__ for scaler in self.scalers]
                raise ValueError(
                    f"{type(scaler).__name__} must come after log1p only. Received: scalers={names}"
                )
        self.needs_scale = any(scaler.needs_scale for scaler in self.scalers)
        self.statistic = next((s.statistic for s in self.scalers if s.needs_scale), "mean")
        self.mixes = any(scaler.mixes for scaler in self.scalers)
        self.limited = bool(self.scalers) and self.scalers[-1].limited

    def adapt(self, values, names=None):
        for number, scaler in enumerate(self.scalers):
            scaler.adapt(values, names)
            if number + 1 < len(self.scalers):
                values = scaler.call(values).numpy()
        return self

    def check_values(self, values, names):
        # What comes after sees other values, and takes them.
        for scaler in self.scalers[:1]:
            scaler.check_values(values, names)

    def check_width(self, width):
        for scaler in self.scalers:
            scaler.check_width(width)

    def _scales(self, scale):
        """Returns each scaler with the scale that its values have."""
        pairs = []
        for scaler in self.scalers:
            pairs.append((scaler, scale))
            scale = None if scale is None else scaler.scaled_scale(scale)
        return pairs

    def call(self, values, scale=None):
        values = as_float(values)
        for scaler, own in self._scales(scale):
            values = scaler.call(values, own)
        return values

    def inverse(self, scaled, scale=None):
        scaled = as_float(scaled)
        for scaler, own in reversed(self._scales(scale)):
            scaled = scaler.inverse(scaled, own)
        return scaled

    def log_slope(self, values, scale=None):
        values = as_float(values)
        total = keep_missing(values, 0.0)
        for scaler, own in self._scales(scale):
            total += scaler.log_slope(values, own)
            values = scaler.call(values, own)
        return total

    def scaled_bounds(self, low, high):
        for scaler in self.scalers:
            low, high = scaler.scaled_bounds(low, high)
        return low, high

    def get_config(self):
        return {**super().get_config(), "scalers": [scaler_record(each) for each in self.scalers]}


# Those that a recipe may name.
SCALERS = {
    "standard": StandardScaler,
    "min_max": MinMaxScaler,
    "robust": RobustScaler,
    "mean": MeanScaler,
    "median": MedianScaler,
    "mu_law": MuLawScaler,
    "whiten": WhiteningScaler,
    "none": NoScaler,
}
# Those that a file may hold.
_STORED = {**SCALERS, "log1p": Log1pScaler, "chain": Chain}
# In a chain, and of chains in each other.
_MOST = 8


def scaler_record(scaler):
    """Returns the scaler as what JSON can hold: its name in the table, and its arguments."""
    names = {cls: name for name, cls in _STORED.items()}
    config = {key: value for key, value in scaler.get_config().items() if key != "name"}
    return {"scaler": names[type(scaler)], "config": config}


def build_scaler(record, depth=0):
    """Returns the scaler of a record; a scaler is its own.

    Raises:
        ValueError: If the record is none: its keys are exactly those that `scaler_record` writes.
    """
    if isinstance(record, Scaler):
        return record
    if not isinstance(record, dict) or set(record) != {"scaler", "config"}:
        raise ValueError("The keys of a scaler must be 'scaler' and 'config'")
    name, config = record["scaler"], record["config"]
    if not isinstance(name, str) or name not in _STORED:
        raise unknown("scaler", name, _STORED)
    keys = set(argument_names(_STORED[name]))
    if not isinstance(config, dict) or set(config) != keys:
        allowed = ", ".join(sorted(keys)) or "(none)"
        raise ValueError(f"The keys of the scaler '{name}' must be {allowed}")
    if name == "chain" and isinstance(config["scalers"], list):
        if depth == _MOST:
            raise ValueError(f"Scalers must be nested at most {_MOST} deep")
        return Chain([build_scaler(each, depth + 1) for each in config["scalers"][: _MOST + 1]])
    return _STORED[name](**config)
