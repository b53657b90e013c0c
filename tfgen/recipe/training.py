"""The section `[training]`: how a model is trained."""

import dataclasses
import re
from typing import ClassVar

from tfgen.errors import InputError
from tfgen.recipe.fields import Section, field


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingConfig(Section):
    """How a model is trained. One step is one update of the weights on one batch."""

    section: ClassVar[str] = "training"

    steps: int = field(2000, "updates of the weights in all", low=1)
    batch_size: int = field(32, "windows in a batch", low=1)
    window: int = field(128, "tokens in a training window", low=1)
    carry_state: bool = field(
        False, "carry the state from window to window (truncated backpropagation through time)"
    )
    augment: tuple[str, ...] = field(
        (),
        "what is done to training batches, in this order, anew at every turn. Text: dropout=0.1 "
        "hides so many of the inputs, noise=0.05 replaces so many by tokens as frequent as in the "
        "data. Series and strokes: jitter=0.03 adds noise of so many standard deviations, "
        "scale=0.1 takes a sequence times a factor about 1, warp=0.2 makes it faster here and "
        "slower there. Strokes: rotate=15 turns a drawing by up to so many degrees. Series: "
        "transpose=5:alto+bass moves the notes of these columns by up to so many semitones. "
        "Sound: gain=12 makes it quieter by up to so many decibels, flip=0.5 turns so many "
        "upside down, pitch=2 plays it faster or slower by up to so many semitones, shift=100 "
        "begins up to so many samples later",
    )
    precision: str = field(
        "float32",
        "what the products of a step are computed in; weights and updates are float32 in any case",
        choices=("float32", "mixed_bfloat16", "mixed_float16"),
    )
    optimizer: str = field(
        "adamw",
        "adamw; muon, which makes the update of a matrix orthogonal and leaves the rest to adamw; "
        "or any other of Keras' by its name, e.g. sgd, lion, adafactor",
    )
    optimizer_options: tuple[str, ...] = field(
        (), "further arguments of that optimizer in Keras, e.g. 'momentum=0.9', 'nesterov=true'"
    )
    learning_rate: float = field(2e-3, "the highest learning rate, after the warm-up", above=0)
    warmup_steps: int = field(100, "steps over which the learning rate rises from 0", low=0)
    schedule: str = field(
        "cosine",
        "how the learning rate goes from there to the last step",
        choices=("cosine", "linear", "constant"),
    )
    final_learning_rate: float = field(
        0.0, "the learning rate at the last step, where the cosine or the line ends", low=0
    )
    beta_2: float = field(
        0.99, "decay of the squared gradient's average, where the optimizer has one", low=0, below=1
    )
    weight_decay: float = field(
        0.01, "decoupled weight decay of matrices: all but biases and gains", low=0
    )
    clip_norm: float = field(1.0, "the gradient's greatest global norm; 0 does not clip", low=0)
    clip_value: float = field(
        0.0, "the greatest absolute value of a gradient's number; 0 does not clip", low=0
    )
    accumulate: int = field(
        1, "parts that a batch is taken in, one after the other: for batches beyond memory", low=1
    )
    start_from: str | None = field(
        None, "a model whose weights are the first: an entry's name, or the path of a run"
    )
    vocabulary: str = field(
        "auto",
        "with start_from: keep that model's symbols, or find new ones in the data, of which "
        "those that it knows keep their weights; auto: new if the data has others",
        of="text",
        needs="start_from",
        choices=("auto", "keep", "new"),
    )
    freeze: tuple[str, ...] = field(
        (), "weights that do not change, by patterns of layers or weights, e.g. 'block_[01]'"
    )
    lora_rank: int = field(
        0, "with start_from: train adapters of this rank for its matrices; 0 trains weights", low=0
    )
    lora_alpha: float = field(
        0.0,
        "what adapters add is multiplied by this over the rank; 0 takes the rank",
        needs="lora_rank",
        low=0,
    )
    lora_targets: tuple[str, ...] = field(
        (),
        "matrices that get adapters, by patterns as in freeze; empty takes all but recurrent ones",
        needs="lora_rank",
    )
    lora_also: tuple[str, ...] = field(
        (),
        "weights that are trained as they are beside adapters, by patterns, e.g. 'head'",
        needs="lora_rank",
    )
    refine: str | None = field(
        None,
        "train a model's energy further, beside the loss that it had: contrastive_divergence "
        "contrasts data with samples of the energy itself; with start_from",
        of="diffusion",
        choices=("contrastive_divergence",),
    )
    refine_weight: float = field(
        0.01, "what the contrast counts beside the loss that there was", needs="refine", above=0
    )
    refine_sigma_min: float = field(
        0.1, "lowest noise level of the ladder of levels, in scaled units", needs="refine", above=0
    )
    refine_sigma_max: float = field(
        3.0,
        "highest, which should blur all modes into one; as the lowest: one level alone",
        needs="refine",
        above=0,
    )
    refine_levels: int = field(
        16, "levels of the ladder, of which neighbours exchange chains", needs="refine", low=1
    )
    refine_steps: int = field(
        2, "Langevin steps of each chain at a step of the training", needs="refine", low=1
    )
    refine_step_size: float = field(
        0.2,
        "length of a Langevin step, in units of the squared noise level",
        needs="refine",
        above=0,
    )
    persistent_chains: int = field(
        0,
        "chains that are kept from step to step, a multiple of batch_size; 0 begins all at data",
        needs="refine",
        low=0,
    )
    restart_share: float = field(
        0.02,
        "share of the persistent chains that begin anew at data at each turn",
        needs="persistent_chains",
        low=0,
        high=1,
    )
    rollout: str | None = field(
        None,
        "learn from what the model draws itself. scheduled_sampling: models that go from position "
        "to position read samples of their own in place of some of the data. self_forcing, "
        "teacher_regression: with start_from, the windows of a diffusion model of series with "
        "noise_levels=independent move to where what it was finds them likely, by a critic, or to "
        "where that denoises them to; it then draws in generation.num_steps, and does nothing else",
        choices=("scheduled_sampling", "self_forcing", "teacher_regression"),
    )
    rollout_share: float = field(
        0.25,
        "the highest probability that what is read is a sample of the model's own",
        of="autoregressive",
        needs="rollout",
        low=0,
        high=1,
    )
    rollout_warmup: int = field(
        0,
        "steps over which that rises from 0 in a line; 0 takes all",
        of="autoregressive",
        needs="rollout",
        low=0,
    )
    rollout_passes: int = field(
        1,
        "times that samples are made at all positions at once: each sample is of a rollout of so "
        "many positions at most",
        of="autoregressive",
        needs="rollout",
        low=1,
    )
    rollout_windows: int = field(
        8,
        "windows that are drawn one after another, before a row begins anew",
        of="diffusion series",
        needs="rollout",
        low=1,
    )
    rollout_critic_steps: int = field(
        2,
        "steps of the critic for one of the model",
        of="diffusion series",
        needs="rollout=self_forcing",
        low=1,
    )
    ema: float = field(0.0, "decay of the average of the weights; 0 is off", low=0, below=1)
    seed: int = field(0, "the seed of weights, batches and dropout", low=0)
    log_every: int = field(50, "steps between two lines of the log", low=1)
    validate_every: int = field(250, "steps between two validations; 0 is never", low=0)
    validation_batches: int = field(20, "batches in one validation", low=1)
    choose_on: str | None = field(
        None,
        "what of the held-out data chooses the best weights: half, and the other half is for "
        "scores; all; none takes half where that has room for two windows",
        choices=("half", "all"),
    )
    choose_by: str = field(
        "likelihood",
        "what the best weights have on held-out data: the highest likelihood; or, of series, the "
        "forecasts of least CRPS, from origins that roll over the end that is held out",
        of="series",
        choices=("likelihood", "forecasts"),
    )
    sample_every: int = field(500, "steps between two samples in TensorBoard; 0 is never", low=0)
    histogram_every: int = field(500, "steps between two sets of histograms; 0 is never", low=0)
    checkpoint_every: int = field(250, "steps between two checkpoints; 0: only at the end", low=0)
    keep_checkpoints: int = field(2, "how many of the latest checkpoints are kept", low=1)
    patience: int = field(
        0, "validations without improvement after which training stops; 0 never stops it", low=0
    )
    profile: str | None = field(
        None, "FIRST:LAST, e.g. 200:205: the steps that TensorBoard's profile is of; none is off"
    )

    def __post_init__(self):
        super().__post_init__()
        object.__setattr__(self, "profile", self.profile or None)
        self.profiled_steps()

    def profiled_steps(self):
        """Returns the steps of `profile`, counted from 1, as a `range`."""
        if self.profile is None:
            return range(0)
        found = re.fullmatch(r"(\d{1,18}):(\d{1,18})", self.profile, re.ASCII)
        first, last = map(int, found.groups()) if found else (0, 0)
        if not 1 <= first <= last:
            raise InputError(
                "training.profile must be FIRST:LAST, the first and the last step to profile, "
                f"counted from 1, e.g. '200:205'. Received: training.profile={self.profile!r}"
            )
        return range(first, last + 1)
