"""DeepAR as GluonTS has it in PyTorch, trained here: `pip install gluonts[torch]`.

Salinas et al., arXiv:1704.04110: each variable of each series is a series of its own with a learned
embedding, recurrent layers read lagged values and features of the time, and a Student-t
distribution is sampled from step by step. Lags, features and training are GluonTS' own for the
frequency; what is chosen here is said at the constants and in `_estimator`.
"""

import logging
import random
import tempfile
import time
import warnings

warnings.filterwarnings("ignore")

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
import torch  # noqa: E402
from gluonts.torch.model.deepar import DeepAREstimator  # noqa: E402
from lightning.pytorch.callbacks import LambdaCallback  # noqa: E402

FREQUENCIES = {60: "min", 3600: "h", 86400: "D"}  # by seconds
LAYERS = 2
# Its products are small: on a machine that does other things too, more threads mostly wait.
THREADS = 1
# One of so many origins decides which epoch is the best.
VALIDATE_EVERY = 5
LARGEST = 4096  # units


def forecast(task, parameters, num_samples, epochs, seed, batches=50):
    """Trains DeepAR on a `forecast.Task`'s part to learn from, and samples from every origin.

    It gets the variables standardised by the training data, so that its scaling by the mean sees no
    large offsets. It sees all that was before an origin, of which it reads the context and the
    lags, which reach back a month. It has as many weights as its width allows to be near
    `parameters`: those of the epoch that is the best on windows of the part held out, which favours
    it. An epoch has so many `batches` of 32 windows, of which 50 is GluonTS' number.

    Returns:
        `(samples, note)`: samples float32 `(origins, num_samples, horizon, variables)` in the
        data's units.
    """
    for name in ("lightning.pytorch", "lightning", "gluonts"):
        logging.getLogger(name).setLevel(logging.ERROR)
    torch.set_num_threads(THREADS)
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    mean, deviation = task.moments()
    scaled = [((values - mean) / deviation).astype(np.float32) for values in task.values]
    losses = []  # on the windows for validation, after each epoch

    def note_loss(trainer, module):
        if not trainer.sanity_checking:
            losses.append(float(trainer.callback_metrics["val_loss"]))

    noting = LambdaCallback(on_validation_end=note_loss)
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        units = units_for(task, parameters)
        trainer = {
            "max_epochs": epochs, "accelerator": "cpu", "callbacks": [noting], "logger": False,
            "default_root_dir": folder, "enable_model_summary": False, "enable_progress_bar": False,
        }  # fmt: skip
        given = {"num_parallel_samples": num_samples, "num_batches_per_epoch": batches}
        estimator = _estimator(task, units, trainer_kwargs=trainer, **given)
        training = list(_entries(task, scaled, enumerate(task.edges)))
        chosen = task.origins[:: min(VALIDATE_EVERY, len(task.origins))]
        validation = list(_entries(task, scaled, chosen, task.horizon))
        predictor = estimator.train(training, validation, cache_data=True)
    seconds = time.perf_counter() - begun
    drawn = predictor.predict(list(_entries(task, scaled, task.origins)), num_samples=num_samples)
    samples = np.stack([each.samples for each in drawn])  # (origins * variables, samples, horizon)
    samples = samples.reshape(len(task.origins), len(task.names), num_samples, task.horizon)
    samples = (np.moveaxis(samples, 1, -1) * deviation + mean).astype(np.float32)
    best = int(np.argmin(losses)) + 1
    return samples, (
        f"{_count(task, units):,} weights, GluonTS' DeepAREstimator, {LAYERS} x {units} units, "
        f"epoch {best} of {epochs}, {seconds:.0f} s of training"
    )


def units_for(task, parameters):
    """The width of the layers whose number of weights is nearest to `parameters`.

    Every network that is counted takes random numbers of the seed: what is tried here, and in which
    order, is part of what a seed gives.
    """

    low, high = 1, LARGEST
    while high - low > 2:  # the number grows with the width: the least distance lies between
        middle = (low + high) // 2
        low, high = (middle, high) if _count(task, middle) < parameters else (low, middle)
    return min(range(low, high + 1), key=lambda units: abs(_count(task, units) - parameters))


def _count(task, units):
    module = _estimator(task, units).create_lightning_module()
    return sum(weight.numel() for weight in module.parameters())


def _estimator(task, units, **own):
    return DeepAREstimator(
        freq=FREQUENCIES[task.step], prediction_length=task.horizon, context_length=task.context,
        num_layers=LAYERS, hidden_size=units, num_feat_static_cat=1,
        cardinality=[len(task.values) * len(task.names)], **own,
    )  # fmt: skip


def _entries(task, scaled, origins, beyond=0):
    """One series for each origin and variable, up to the origin or so many positions further."""
    for series, origin in origins:
        start = pd.Timestamp(task.starts[series], unit="s")
        for variable in range(len(task.names)):
            yield {
                "start": pd.Period(start, freq=FREQUENCIES[task.step]),
                "target": scaled[series][: origin + beyond, variable],
                "feat_static_cat": np.array([series * len(task.names) + variable]),
            }
