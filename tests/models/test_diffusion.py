"""Diffusion: the loss by hand, and every question asked of a law whose answers are known."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from tfgen.data import Feature, Sequences
from tfgen.errors import InputError
from tfgen.models import first_calls, make
from tfgen.models.engines.diffusion import ROWS
from tfgen.models.engines.diffusion_runs import METROPOLIS, MOST_STEPS, batch_size
from tfgen.models.engines.season_before import season_before
from tfgen.preprocessing import SequenceProcessor
from tfgen.recipe import GenerationConfig, PreprocessingConfig, Recipe
from tfgen.sampling import denoising, random
from tfgen.sampling.diffusion import SOLVERS

HOUR = 3600
START = 1_600_000_000
SMALL = {"width": 4, "multipliers": (1, 2), "blocks": 1, "heads": 2, "head_width": 4, "groups": 2}
LEAST = {
    "width": 4, "multipliers": (1,), "blocks": 1, "groups": 2, "attention_at": (),
    "linear_attention": False,
}  # fmt: skip
MEAN, STD, MEMORY = 100.0, 3.0, 0.8
MOST = 24


def processor(data, **config):
    return SequenceProcessor.fit(data, PreprocessingConfig(**{"calendar": True, **config}))


def numbers(high=None, low=None, kind="series", **extra):
    """One number of mean 100 and standard deviation 3."""
    values = np.resize([MEAN - STD, MEAN + STD], [40, 1]).astype(np.float32)
    return Sequences("made", kind, (Feature("x", low=low, high=high),), [values], ["0"], **extra)


def everything():
    """Numbers with and without bounds, a category, classes, static and known numbers, times."""
    rng = np.random.default_rng(0)
    features = (Feature("a", low=0.0, high=9.0), Feature("k", levels=("x", "y", "z")), Feature("b"))
    values = [
        np.stack([9 * rng.random(48), rng.integers(0, 3, 48), rng.normal(5, 2, 48)], axis=1)
        for _ in range(4)
    ]
    return Sequences(
        "made", "series", features, [each.astype(np.float32) for each in values], list("0123"),
        labels=np.array([0, 1, 0, 1], np.int32), classes=("p", "q"),
        static=rng.normal(size=(4, 1)).astype(np.float32), static_names=("s",),
        known=[rng.normal(size=(48, 1)).astype(np.float32) for _ in range(4)], known_names=("w",),
        times=[START + HOUR * np.arange(48)] * 4,
    )  # fmt: skip


def drawings():
    """Class p has 5 to 7 positions, class q 12 or 13."""
    rng = np.random.default_rng(1)
    counts = [5, 6, 7, 12, 13, 13]
    return Sequences(
        "made", "strokes", (Feature("dx", low=-1.0, high=1.0), Feature("pen", levels=("a", "b"))),
        [np.stack([rng.uniform(-1, 1, n), np.arange(n) % 2], 1).astype(np.float32) for n in counts],
        [str(n) for n in range(6)], labels=np.array([0, 0, 0, 1, 1, 1], np.int32),
        classes=("p", "q"), ends=True,
    )  # fmt: skip


def sounds():
    values = 0.2 * np.random.default_rng(3).normal(size=[4, 21, 1])
    return Sequences(
        "made", "audio", (Feature("amplitude", low=-1.0, high=1.0),),
        list(values.astype(np.float32)), list("0123"), sample_rate=100, ends=False,
    )  # fmt: skip


def small(data=None, base=SMALL, **options):
    """A network whose every part says something: no weight is 0."""
    options = {**base, "seed": 1, **options}
    model = make("unet1d", processor=processor(data or everything()), **options)
    rng = np.random.default_rng(5)
    for weight in model.trainable_weights:
        if not weight.numpy().any():
            weight.assign(0.3 * rng.normal(size=weight.shape))
    return model


def batch_of(data, time=16):
    given = {"values": np.stack([each[:time] for each in data.values])}
    if data.labels is not None:
        given["label"] = data.labels
    if data.static is not None:
        given["static"] = data.static
        given["known"] = np.stack([each[:time] for each in data.known])
        given["times"] = np.stack([each[:time] for each in data.times])
    return given


# The spectra of the first n positions of a process of memory 0.8, for each n.
PLACES = np.arange(MOST)
COVARIANCE = MEMORY ** np.abs(PLACES[:, None] - PLACES)
SPECTRA = [np.linalg.eigh(COVARIANCE[:n, :n]) for n in range(1, MOST + 1)]


class Known:
    """A denoiser of a known law: each channel is a Gaussian process, independent of the others.

    In scaled units it has the standard deviation `spread`, the correlation 0.8 from one position to
    the next, or none if it is `white`, and the mean `middle`, to which `told` times the sum of all
    that the network is told is added.
    """

    white, middle, spread, told = False, 0.0, 1.0, 0.0
    traces, handed = 0, 0

    def denoiser(self, given):
        self.traces += 1
        values, vectors = np.zeros([MOST + 1, MOST]), np.zeros([MOST + 1, MOST, MOST])
        for n, spectrum in enumerate(SPECTRA, 1):
            values[n, :n], vectors[n, :n, :n] = spectrum
            if self.white:
                values[n, :n], vectors[n, :n, :n] = 1, np.eye(n)

        def denoise(x, sigma, *previous):
            self.handed = len(previous)
            time, valid = tf.shape(x)[1], given["valid"]
            count = time[None] if valid is None else tf.reduce_sum(tf.cast(valid, tf.int32), axis=1)
            turn = tf.gather(tf.constant(vectors, tf.float32), count)[:, :time, :time]
            variance = tf.gather(tf.constant(values, tf.float32), count)[:, :time, None]
            variance *= tf.square(tf.constant(self.spread, tf.float32))
            whole = tf.reduce_sum(given["whole"], -1)[:, None, None]
            there = tf.reduce_sum(given["covariates"], -1)[..., None]
            middle = self.middle + self.told * (whole + there)
            shrink = variance / (variance + tf.square(sigma)[:, None, None])
            spectrum = shrink * tf.matmul(turn, x - middle, transpose_a=True)
            return middle + tf.matmul(turn, spectrum)

        return denoise


def known(data=None, options=(), config=(), **law):
    options = {**LEAST, "seed": 0, **dict(options)}  # of what labels are embedded as
    model = make("unet1d", processor=processor(data or numbers(), **dict(config)), **options)
    model.law = Known()
    for name, value in law.items():
        setattr(model.law, name, value)
    model.engine.denoiser.denoiser = model.law.denoiser
    return model


@pytest.fixture(scope="module")
def process():
    return known(options={"generation": {"num_steps": 30}})


@pytest.fixture(scope="module")
def rich():
    return known(everything(), told=0.5)


def walk(count, time, seed):
    """Sequences `(count, time, 1)` of the process, in the data's units."""
    root = np.linalg.cholesky(COVARIANCE[:time, :time])
    noise = np.random.default_rng(seed).normal(size=[count, time])
    return (MEAN + STD * noise @ root.T)[..., None].astype(np.float32)


def message(call, *args, **kwargs):
    with pytest.raises(InputError) as caught:
        call(*args, **kwargs)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# The loss

HAND = {
    # What D - x0 is at first, by x, x0, noise, sigma and s; and the weight of its square.
    "epsilon": (lambda x, x0, noise, sigma, s: x - x0, "uniform", lambda sigma, s: sigma**-2),
    "x0": (lambda x, x0, noise, sigma, s: -x0, "snr", lambda sigma, s: sigma**-2),
    "v": (
        lambda x, x0, noise, sigma, s: s**2 / (sigma**2 + s**2) * x - x0,
        "min_snr",
        lambda sigma, s: np.minimum(s**2 / sigma**2, 5) / s**2,
    ),
    "edm": (
        lambda x, x0, noise, sigma, s: s**2 / (sigma**2 + s**2) * x - x0,
        "edm",
        lambda sigma, s: sigma**-2 + s**-2,
    ),
    "flow": (
        lambda x, x0, noise, sigma, s: s / (sigma + s) * x - x0,
        "uniform",
        lambda sigma, s: ((sigma + s) / (sigma * s)) ** 2,
    ),
}


def drawn_for(shape, mean=-0.5, std=1.2):
    """Levels and noise that the loss draws for a batch in evaluation."""
    key = random.root(0, random.EVALUATION)
    levels = np.exp(mean + std * random.normal(random.fold(key, 0), shape[:1]).numpy())
    return levels[:, None, None].astype(np.float64), random.normal(
        random.fold(key, 1), shape
    ).numpy()


@pytest.mark.parametrize(
    "objective", [*HAND][:2] + [pytest.param(each, marks=pytest.mark.long) for each in [*HAND][2:]]
)
def test_the_first_loss_by_hand(objective):
    # The last convolution is 0 at first: the network says 0, and D is c_skip * x.
    error, weighting, weight = HAND[objective]
    model = make(
        "unet1d", processor=processor(everything()), objective=objective, weighting=weighting,
        sigma_data=0.7, sigma_mean=0.3, sigma_std=0.9, seed=1, **LEAST,
    )  # fmt: skip
    given = batch_of(everything(), 6)
    values = given["values"]
    values[1, 2, 0] = values[2, 3, 1] = np.nan
    given["valid"] = np.arange(6)[None] < np.array([[6], [5], [6], [2]])

    scaled = model.processor.scale_numbers(values[..., [0, 2]]).numpy()
    levels = 2.0 * (values[..., 1:2] == np.arange(3)) - 1
    x0 = np.concatenate([scaled, levels], axis=-1)
    counted = np.concatenate([~np.isnan(scaled), ~np.isnan(values[..., [1, 1, 1]])], axis=-1)
    counted &= given["valid"][..., None]
    assert counted.sum() == 19 * 5 - 4
    x0 = np.where(counted, x0, 0)
    sigma, noise = drawn_for(x0.shape, 0.3, 0.9)
    wrong = error(x0 + sigma * noise, x0, noise, sigma, 0.7)
    expected = (weight(sigma, 0.7) * wrong**2)[counted].mean()
    loss, state = model.batch_loss(model.unpack(given))
    assert float(loss) == pytest.approx(expected, rel=1e-5) and state is None


@pytest.mark.parametrize(
    "objective, energy",
    [
        ("epsilon", False),
        pytest.param("flow", False, marks=pytest.mark.long),
        pytest.param("edm", True, marks=pytest.mark.long),
    ],
)
def test_the_loss_is_the_error_of_the_denoiser(objective, energy):
    model = small(objective=objective, weighting="min_snr", energy=energy)
    batch = model.unpack(batch_of(everything()))
    x0, _ = model.engine.emission(batch)
    sigma, noise = drawn_for(x0.shape)
    x = x0 + (sigma * noise).astype(np.float32)
    sigma = sigma.astype(np.float32)
    estimate = model.engine.denoiser.denoiser(model.engine.denoiser.given(batch))(x, sigma[:, 0, 0])
    weight = denoising.loss_weight("min_snr", sigma, objective)
    expected = np.mean(weight * (estimate - x0) ** 2)
    assert float(model.batch_loss(batch)[0]) == pytest.approx(expected, rel=1e-4)


def test_levels_of_the_schedule_are_those_of_its_formula():
    model = make(
        "unet1d",
        processor=processor(numbers()),
        sigmas="schedule",
        sigma_min=0.1,
        sigma_max=5.0,
        **LEAST,
    )
    key = random.root(3, random.EVALUATION)
    n = random.uniform(key, [8]).numpy()
    expected = (n * 5 ** (1 / 7) + (1 - n) * 0.1 ** (1 / 7)) ** 7  # arXiv:2206.00364, equation 5
    np.testing.assert_allclose(
        model.engine.denoiser.training_sigmas(key, 8, 4), expected, rtol=1e-4
    )
    levels = model.engine.runs.levels(tf.constant(5)).numpy()
    assert levels.shape == (MOST_STEPS + 1,) and not levels[5:].any()
    n = np.linspace(1, 0, 5)
    expected = (n * 5 ** (1 / 7) + (1 - n) * 0.1 ** (1 / 7)) ** 7
    np.testing.assert_allclose(levels[:5], expected, rtol=1e-4)
    np.testing.assert_allclose(model.engine.runs.levels(tf.constant(1))[:2], [5, 0], rtol=1e-4)


@pytest.mark.long
def test_padding_and_what_stands_in_it_change_nothing():
    model = small(self_condition=True)
    given = batch_of(everything())
    given["valid"] = np.arange(16)[None] < np.array([[16], [9], [0], [12]])
    loss, _ = model.batch_loss(model.unpack(given))
    other = {**given, "values": given["values"].copy(), "known": given["known"].copy()}
    other["values"][~given["valid"]] = 7
    other["known"][~given["valid"]] = -3
    assert float(model.batch_loss(model.unpack(other))[0]) == pytest.approx(float(loss), rel=1e-6)
    other["values"][1, 8, 0] += 1
    assert float(model.batch_loss(model.unpack(other))[0]) != pytest.approx(float(loss), rel=1e-4)
    # A row of padding alone adds nothing.
    first = {name: value[:2] for name, value in given.items()}
    three = {name: value[:3] for name, value in given.items()}
    losses = [float(model.batch_loss(model.unpack(each))[0]) for each in (first, three)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


@pytest.mark.long
def test_drawings_are_told_how_far_their_ends_are():
    model = small(drawings(), positions=4)
    places = np.arange(8)
    batch = {
        "values": np.zeros([3, 8, 2], np.float32),
        "valid": places < np.array([[5], [8], [8]]),
        "last": places == np.array([[4], [9], [7]]),  # the second one goes on
        "first": np.array([True, True, False]),
    }
    told = model.engine.denoiser.given(model.unpack(batch))["covariates"].numpy()
    angles = places[:, None] / np.array([1, 1000**0.5])
    after = np.concatenate([np.sin(angles), np.cos(angles)], axis=1)
    np.testing.assert_allclose(told[0, :, :4], after, atol=1e-5)
    np.testing.assert_allclose(told[0, :5, 4:], after[4::-1], atol=1e-5)
    np.testing.assert_allclose(told[1, :, :4], after, atol=1e-5)
    assert not told[1, :, 4:].any() and not told[2, :, :4].any()
    np.testing.assert_allclose(told[2, :, 4:], after[::-1], atol=1e-5)
    # Drawn or scored, a drawing is whole.
    series = [values[:5] for values in drawings().values[:2]]
    outputs = [
        m.denoise(series, 0.5)[..., 0] for m in (model, small(drawings(), positions=0), model)
    ]
    assert np.abs(outputs[0] - outputs[1]).max() > 1e-3
    np.testing.assert_array_equal(outputs[0], outputs[2])
    assert small(numbers()).engine.denoiser.places is None  # a series has no end of its own


@pytest.mark.long
def test_classes_are_hidden_in_training_alone():
    key = tf.constant([1, 2])
    losses = {}
    for dropout in (0.0, 0.8):
        model = small(condition_dropout=dropout)
        batch = model.unpack(batch_of(everything()))
        losses[dropout] = [float(model.batch_loss(batch, key, training=on)[0]) for on in (0, 1)]
    assert losses[0.0][0] == losses[0.0][1] == losses[0.8][0] != losses[0.8][1]
    given = {"label": np.ones(1000, int), "static": np.zeros((1000, 1))}
    whole, _ = model.engine.context.call(given, 1000, key)
    hidden = (whole[:, :2].numpy() == 0).all(axis=1)
    assert 0.75 < hidden.mean() < 0.85


@pytest.mark.long
def test_half_of_the_rows_are_told_an_estimate():
    model = small(self_condition=True)
    model.engine.denoiser.denoiser = lambda given: lambda x, sigma: tf.ones_like(x)
    x = tf.zeros([1000, 2, model.engine.emission.channels])
    told = model.engine.denoiser.estimate({}, x, tf.ones([1000]), tf.constant([1, 2])).numpy()
    share = told.mean(axis=(1, 2))
    assert set(share) == {0.0, 1.0} and 0.45 < share.mean() < 0.55
    # And the network hears of it.
    batch = model.unpack(batch_of(everything()))
    before = model.batch_loss(batch)[0]
    model.engine.denoiser.denoiser = lambda given: lambda x, sigma: 2 * tf.ones_like(x)
    assert float(model.batch_loss(batch)[0]) != pytest.approx(float(before), rel=1e-4)
    assert small().engine.denoiser.estimate({}, x, tf.ones([1000]), tf.constant([1, 2])) is None


@pytest.mark.parametrize(
    "given, name",
    [
        ({"sigmas": "schedule", "sigma_mean": 0.1}, "sigma_mean"),
        ({"sigmas": "schedule", "sigma_std": 0.9}, "sigma_std"),
        ({"positions": 8}, "positions"),
        ({"condition_dropout": 0.2}, "condition_dropout"),
        ({"heads": 2}, "heads"),  # LEAST has no attention
        ({"head_width": 8}, "head_width"),
        ({"companding": 0.1, "processor": None}, "companding"),
    ],
    ids=str,
)
def test_what_would_do_nothing_is_refused(given, name):
    if "processor" in given:  # of nothing but a category
        values = np.arange(20, dtype=np.float32)[:, None] % 2
        level = Feature("k", levels=("x", "y"))
        given = {**given, "processor": processor(Sequences("m", "series", (level,), [values], "0"))}
    rule = f"{name} is for .*does nothing here. Received: {name}={given[name]}"
    with pytest.raises(ValueError, match=rule):
        make("unet1d", of="numbers", **LEAST, **given)
    others = {key: value for key, value in given.items() if key != name}
    make("unet1d", of="numbers", **LEAST, **others)


@pytest.mark.parametrize("energy", [False, pytest.param(True, marks=pytest.mark.long)])
def test_every_weight_has_a_gradient(energy):
    model = small(self_condition=True, energy=energy)
    batch = model.unpack(batch_of(everything()))
    with tf.GradientTape() as tape:
        loss, _ = model.batch_loss(batch, tf.constant([1, 2]), training=True)
    gradients = tape.gradient(loss, [weight.value for weight in model.trainable_weights])
    for weight, gradient in zip(model.trainable_weights, gradients, strict=True):
        assert gradient is not None, weight.path
        assert np.abs(tf.convert_to_tensor(gradient)).max() > 0, weight.path


@pytest.mark.long
def test_it_learns_what_all_positions_have_in_common():
    # Eight positions of one number, N(0, 1): the noise of each is averaged out.
    import keras

    values = np.repeat(np.random.default_rng(2).normal(size=[1024, 1, 1]), 8, axis=1)
    values = values.astype(np.float32)
    model = make("unet1d", of="numbers", **{**LEAST, "width": 8}, seed=1)
    batch = model.unpack(values)
    sigma, noise = drawn_for(values.shape)
    mean = (values + sigma * noise).mean(axis=1, keepdims=True)
    error = mean * 8 / (8 + sigma**2) - values
    best = np.mean((1 / sigma**2 + 1) * error**2)
    assert float(model.batch_loss(batch)[0]) > 3 * best
    rate = keras.optimizers.schedules.CosineDecay(1e-2, 120)
    model.compile(keras.optimizers.Adam(rate), jit_compile=False)
    model.fit(values, batch_size=128, epochs=15, verbose=0)
    assert 0.98 < float(model.batch_loss(batch)[0]) / best < 1.25


# Drawing


def test_samples_have_the_law_in_the_datas_units(process):
    drawn = process.generate(8 * ROWS, length=6, seed=1)
    assert drawn.shape == (8 * ROWS, 6, 1) and drawn.dtype == np.float32
    assert drawn.mean() == pytest.approx(MEAN, abs=0.2)
    assert drawn.std() == pytest.approx(STD, abs=0.1)
    np.testing.assert_allclose(np.corrcoef(drawn[..., 0].T), COVARIANCE[:6, :6], atol=0.05)


@pytest.mark.parametrize(
    "solver",
    [
        each if each == "heun" else pytest.param(each, marks=pytest.mark.long)
        for each in SOLVERS
        if each != "consistency"  # for networks whose answers are samples
    ],
)
def test_every_solver_draws_from_it(process, solver):
    # Those that add noise need more steps: at these their spread is still off by so much.
    off = {"ddpm": 0.2, "langevin": 0.2, "predictor_corrector": 0.3}.get(solver, 0.12)
    options = {"length": 12, "seed": 1, "num_steps": 10 if solver == "langevin" else 30}
    drawn = process.generate(ROWS, solver=solver, **options)
    assert drawn.mean() == pytest.approx(MEAN, abs=0.5)
    assert drawn.std() == pytest.approx(STD, rel=off)
    changes = np.diff(drawn, axis=1).std() / STD
    assert changes == pytest.approx(np.sqrt(2 - 2 * MEMORY), rel=off)
    if solver != "dpmpp_2m":
        assert not np.allclose(drawn, process.generate(ROWS, **options), atol=1e-3)


def test_the_recipe_knows_every_solver():
    field = GenerationConfig.__dataclass_fields__["solver"]
    assert set(field.metadata["choices"]) == {*SOLVERS, METROPOLIS}
    assert all(name in field.metadata["help"] for name in field.metadata["choices"])


@pytest.mark.exhaustive
def test_a_run_tells_its_progress(process):
    def telling(method, **options):
        heard = []
        drawn = method(seed=1, progress=lambda *place: heard.append(place), **options)
        dones, totals = zip(*heard)
        assert list(dones) == sorted(set(dones)) and set(totals) == {dones[-1]}
        np.testing.assert_array_equal(drawn, method(seed=1, **options))
        return dones

    few = {"num_samples": 2, "length": 6}
    assert telling(process.generate, **few, num_steps=3) == (1, 2, 3)
    dones = telling(process.generate, **few, num_steps=50, solver="heun")
    assert dones[-1] == 99 and 20 <= len(dones) <= 25
    # Parts of a large number follow each other.
    many = {"num_samples": 2 * ROWS, "length": 2, "num_steps": 2}
    assert telling(process.generate, **many) == (0 + 1, 2, 3, 4)
    series = walk(1, 6, 5)[0].copy()
    series[3] = np.nan
    assert telling(process.impute, series=series, num_steps=3)[-1] == 30
    heard = []
    process.forecast(
        walk(2, 6, 5), 2, num_samples=2, num_steps=3, method="guidance",
        progress=lambda *place: heard.append(place),
    )  # fmt: skip
    assert heard == [(1, 3), (2, 3), (3, 3)]


def test_a_seed_gives_the_same_samples_however_many_are_drawn(process):
    many = process.generate(300, length=6, seed=4)
    np.testing.assert_array_equal(many, process.generate(300, length=6, seed=4))
    np.testing.assert_allclose(process.generate(ROWS, length=6, seed=4), many[:ROWS], rtol=1e-5)
    np.testing.assert_allclose(process.generate(1, length=6, seed=4), many[:1], rtol=1e-5)
    assert np.abs(many - process.generate(300, length=6, seed=5)).max() > 1
    assert len(np.unique(many[:, 0])) == 300  # the second part has noise of its own
    first, second = (process.generate(1, length=6) for _ in range(2))
    assert not np.allclose(first, second)


@pytest.mark.long
def test_nothing_is_traced_again(rich):
    given = {"static": [0.0], "known": np.zeros((10, 1)), "length": 10}
    rich.generate(2, seed=1, num_steps=3, **given)
    rich.generate(2, seed=1, num_steps=3, guidance_scale=2.0, condition="q", **given)
    traces = rich.law.traces
    rich.generate(2, seed=2, num_steps=5, guidance_scale=0.5, condition="p", **given)
    rich.generate(3, seed=3, num_steps=4, **{**given, "length": 10})
    assert rich.law.traces == traces > 0


@pytest.fixture(scope="module")
def ordinary(rich):
    given = {
        "condition": "p", "static": [0.5], "start_time": "2020-01-01T03:00",
        "known": np.linspace(-1, 1, 10)[:, None], "num_steps": 4, "seed": 1, "length": 10,
    }  # fmt: skip
    return given, rich.generate(3, **given)


@pytest.mark.parametrize(
    "change",
    [
        {"condition": "q"}, {"condition": None}, {"condition": ["q", "p", "q"]}, {"static": [0.6]},
        {"static": [[0.5], [0.5], [0.6]]}, {"start_time": "2020-01-01T04:00"},
        {"known": np.ones((10, 1))}, {"known": np.ones((3, 10, 1))}, {"num_steps": 5},
        {"solver": "heun"}, {"guidance_scale": 2.0}, {"guidance_scale": 0.0}, {"seed": 2},
    ],
    ids=lambda change: "-".join(change),
)  # fmt: skip
def test_every_argument_changes_what_is_drawn(rich, ordinary, change):
    given, before = ordinary
    after = rich.generate(3, **{**given, **change})
    assert after.shape == before.shape == (3, 10, 3)
    assert np.abs(after[2, :, 2] - before[2, :, 2]).max() > 1e-3


def test_guidance_moves_the_mean_by_its_formula(rich, ordinary):
    # A Gaussian's estimate is linear in its mean, so guidance is that of the two means.
    given, before = ordinary
    unit = (
        0.5
        * float(tf.reduce_sum(rich.engine.context.class_embedding(np.array([0]))))
        * np.std(np.concatenate(everything().values)[:, 2])
    )
    for scale in (0.0, 2.0):
        moved = rich.generate(3, **{**given, "guidance_scale": scale})[..., 2] - before[..., 2]
        np.testing.assert_allclose(moved, (scale - 1) * unit, rtol=0.04)
    none = rich.generate(3, **{**given, "condition": None})[..., 2]
    np.testing.assert_allclose(before[..., 2] - none, unit, rtol=0.04)


def test_bounds_hold_and_categories_are_levels(rich):
    given = {"static": [0.0], "known": np.zeros((10, 1)), "length": 10}
    values, lengths, clipped = rich.draw(ROWS, seed=1, num_steps=10, **given)
    assert values[..., 0].min() >= 0 and values[..., 0].max() <= 9
    assert set(values[..., 1].ravel()) == {0.0, 1.0, 2.0} and set(lengths) == {10}
    # The threshold holds every estimate, so that almost nothing is left to hold at the end.
    free = known(everything(), options={"threshold": "none"}, told=0.5)
    unheld, _, more = free.draw(ROWS, seed=1, num_steps=10, **given)
    assert unheld[..., 0].min() >= 0 and unheld[..., 0].max() <= 9
    assert clipped < 0.02 < more < 0.2
    assert np.abs(unheld[..., 2] - values[..., 2]).max() < 1e-3  # no bound, no change
    assert np.abs(unheld[..., 0] - values[..., 0]).max() > 0.1


@pytest.mark.long
def test_dynamic_thresholding_draws_all_of_a_row_in():
    # Estimates far above the bounds of 94 and 106, which are -2 and 2 in scaled units.
    data = numbers(low=MEAN - 2 * STD, high=MEAN + 2 * STD)
    rows = {
        how: known(data, {"threshold": how}, middle=1.5, white=True).generate(
            ROWS, length=8, seed=1, num_steps=10
        )
        for how in ("static", "dynamic")
    }
    for drawn in rows.values():
        assert drawn.min() >= MEAN - 2 * STD and drawn.max() <= MEAN + 2 * STD
    # Clipped, many lie at the bound; drawn in, only the largest of a row.
    at_bound = {
        how: (drawn > MEAN + 2 * STD - 1e-3).sum(axis=1).mean() for how, drawn in rows.items()
    }
    assert at_bound["static"] > 2 > 1.2 > at_bound["dynamic"]
    with pytest.raises(ValueError, match="needs two bounds of every number.*threshold='dynamic'"):
        known(numbers(low=0.0), {"threshold": "dynamic"})


def test_drawings_have_the_lengths_of_their_class():
    model = known(drawings(), options={"self_condition": True})
    drawn = model.generate(100, length=20, seed=1, num_steps=3, condition=["p", "q"] * 50)
    assert {len(each) for each in drawn[::2]} == {5, 6, 7}
    assert {len(each) for each in drawn[1::2]} == {12, 13}
    assert model.law.handed == 1  # the estimate before
    either = [len(each) for each in model.generate(100, length=20, seed=1, num_steps=3)]
    assert set(either) == {5, 6, 7, 12, 13} and 30 < sum(n > 7 for n in either) < 70
    values, lengths, _ = model.draw(100, length=10, seed=1, num_steps=3, condition="q")
    assert set(lengths) == {10} and not np.isnan(values).any()
    values, lengths, _ = model.draw(100, length=20, seed=1, num_steps=3)
    for row, length in zip(values, lengths):
        assert not np.isnan(row[:length]).any() and np.isnan(row[length:]).all()
    # Whoever was saved without lengths draws as long as it is asked to.
    model.processor.lengths = ()
    model.reset_graphs()
    assert {len(each) for each in model.generate(3, length=9, seed=1, num_steps=2)} == {9}


# Scores and latents


@pytest.mark.parametrize(
    "config",
    [
        {"scaler": "standard"},
        pytest.param({"scaler": "standard", "log1p": ["x"]}, marks=pytest.mark.long),
        pytest.param({"scaler": "mean"}, marks=pytest.mark.long),
    ],
    ids=str,
)  # fmt: skip
def test_the_score_is_the_density_in_the_datas_units(config):
    model = known(config=config, white=True)
    values = [each.astype(np.float64) for each in walk(2, 9, 1)]
    values[1] = values[1][:4]
    values[0][3] = np.nan
    score = model.score(values, num_steps=30)
    assert list(score["values"]) == [8, 4]
    step = 0.05
    for row, series in enumerate(values):
        seen = series[~np.isnan(series)]
        scale = np.abs(seen).mean(keepdims=True).astype(np.float32)

        def scaled(x):
            return model.processor.scale_numbers(np.float32(x)[:, None], scale).numpy()[:, 0]

        slope = (scaled(seen + step).astype(np.float64) - scaled(seen - step)) / (2 * step)
        expected = np.sum(stats.norm.logpdf(scaled(seen)) + np.log(slope))
        assert score["log_likelihood"][row] == pytest.approx(expected, abs=0.02)
        assert score["nats_per_value"][row] == pytest.approx(-expected / len(seen), abs=0.01)
        assert score["nats_per_position"][row] == pytest.approx(-expected / len(series), abs=0.01)


@pytest.mark.long
def test_the_score_of_companded_numbers():
    # asinh(y / 0.5), y being the scaled number, is a standard normal.
    model = known(options={"companding": 0.5}, white=True)
    values = walk(1, 6, 1)[0]
    scaled = (values.astype(np.float64) - MEAN) / STD
    told = np.arcsinh(scaled / 0.5)
    expected = stats.norm.logpdf(told) - np.log(STD * np.sqrt(scaled**2 + 0.25))
    score = model.score(values, num_steps=30)
    assert score["log_likelihood"] == pytest.approx(expected.sum(), abs=0.02)
    drawn = model.generate(ROWS, length=4, seed=1, num_steps=20)
    law = MEAN + STD * 0.5 * np.sinh(stats.norm.ppf([0.1, 0.5, 0.9]))
    np.testing.assert_allclose(np.quantile(drawn, [0.1, 0.5, 0.9]), law, atol=0.4)
    latents = model.encode(values, num_steps=40)
    np.testing.assert_allclose(model.decode(latents, num_steps=40), values, atol=0.02 * STD)
    # Bounds hold every estimate in these units as in others.
    bounded = known(numbers(low=MEAN - STD, high=MEAN + STD), {"companding": 0.5})
    bounds = bounded.engine.emission.limits
    np.testing.assert_allclose(bounds[:, 0], [-np.arcsinh(2), np.arcsinh(2)], rtol=1e-4)


@pytest.mark.long
def test_the_bound_lies_below_the_score(process):
    series = walk(3, 8, 2)
    expected = stats.multivariate_normal.logpdf(
        series[..., 0], np.full(8, MEAN), STD**2 * COVARIANCE[:8, :8]
    )
    bounds = [
        process.score(series, num_steps=40, seed=seed, method="elbo")["log_likelihood"]
        for seed in range(60)
    ]
    scatter = 4 * np.std(bounds) / 60**0.5
    mean = np.mean(bounds, axis=0)
    assert (mean < expected + scatter).all()
    # For infinitely many levels and the true denoiser it is the density itself.
    np.testing.assert_allclose(mean, expected, atol=scatter)
    assert scatter < 4


@pytest.mark.long
def test_the_score_of_a_process(process):
    series = walk(3, 8, 2)
    expected = stats.multivariate_normal.logpdf(
        series[..., 0], np.full(8, MEAN), STD**2 * COVARIANCE[:8, :8]
    )
    # One probe of the trace is a rough one; probes agree in the mean.
    scores = [process.score(series, num_steps=20, seed=seed) for seed in range(60)]
    totals = np.stack([score["log_likelihood"] for score in scores])
    assert totals.std(axis=0).min() > 0.1
    np.testing.assert_allclose(totals.mean(axis=0), expected, atol=4 * totals.std() / 60**0.5)
    alone = process.score(series[1], num_steps=20, seed=0)
    assert alone["values"] == 8
    rough = process.score(series[1], num_steps=3, seed=0)["log_likelihood"]
    assert abs(rough - alone["log_likelihood"]) > 0.05


@pytest.mark.long
def test_categories_are_given(rich):
    values = everything().values[0][:10].copy()
    given = {
        "times": START + HOUR * np.arange(10), "known": np.zeros((10, 1)), "static": [0.0],
        "num_steps": 10,
    }  # fmt: skip
    score = rich.score(values, **given)
    assert score["values"] == 20
    values[3, 1] = np.nan
    assert rich.score(values, **given)["values"] == 20
    values[3, 0] = np.nan
    assert rich.score(values, **given)["values"] == 19
    for change in ({"condition": "p"}, {"static": [1.0]}, {"known": np.ones((10, 1))}):
        assert rich.score(values, **{**given, **change})["log_likelihood"] != pytest.approx(
            rich.score(values, **given)["log_likelihood"], rel=1e-3
        )


@pytest.mark.long
def test_latents_lead_back_and_have_unit_variance(process):
    series = walk(ROWS, 10, 3)
    latents = process.encode(series, num_steps=40)
    assert latents.shape == (ROWS, 10, 1)
    # White noise, whatever the correlations of the series are.
    np.testing.assert_allclose(np.cov(latents[..., 0].T), np.eye(10), atol=0.3)
    assert latents.std() == pytest.approx(1, abs=0.05)
    np.testing.assert_allclose(process.decode(latents, num_steps=40), series, atol=0.02 * STD)
    # More steps are nearer.
    rough = process.decode(process.encode(series, num_steps=10), num_steps=10)
    assert np.abs(rough - series).max() > 0.05 * STD
    # One series, and series of different lengths.
    alone = process.encode(series[0, :6], num_steps=40)
    assert alone.shape == (6, 1)
    both = process.encode([series[1], series[0, :6]], num_steps=40)
    np.testing.assert_allclose(both[1, :6], alone, atol=1e-3)
    back = process.decode(both, lengths=[10, 6], num_steps=40)
    np.testing.assert_allclose(back[0], series[1], atol=0.02 * STD)
    np.testing.assert_allclose(back[1, :6], series[0, :6], atol=0.02 * STD)
    assert np.isnan(back[1, 6:]).all()


@pytest.mark.exhaustive
def test_to_denoise_is_to_take_the_posterior_mean(process):
    series = walk(2, 9, 4)
    sigma = np.array([0.4, 1.3])
    expected = [
        MEAN + COVARIANCE[:9, :9] @ np.linalg.solve(
            COVARIANCE[:9, :9] + level**2 * np.eye(9), row[:, 0] - MEAN
        )
        for row, level in zip(series, sigma)
    ]  # fmt: skip
    np.testing.assert_allclose(process.denoise(series, sigma)[..., 0], expected, atol=1e-3)
    one = process.denoise(series[0], 0.4)
    np.testing.assert_allclose(one[:, 0], expected[0], atol=1e-3)
    # The network's estimate of each row is as if the row were alone.
    model = small()
    values = [each[:n] for each, n in zip(everything().values, (9, 16))]
    times = [START + HOUR * np.arange(len(each)) for each in values]
    given = {"static": [0.3], "sigma": 0.5}
    both = model.denoise(values, times=times, known=np.ones((16, 1)), condition="q", **given)
    alone = model.denoise(values[0], times=times[0], known=np.ones((9, 1)), condition="q", **given)
    np.testing.assert_allclose(both[0, :9], alone, atol=1e-4)
    assert np.isnan(both[0, 9:]).all()
    # What it is told, it heeds.
    told = {"times": times[0], "known": np.ones((9, 1)), "condition": "q", **given}
    for change in (
        {"times": times[0] + HOUR}, {"known": np.zeros((9, 1))}, {"condition": "p"},
        {"condition": None}, {"static": [0.6]}, {"sigma": 0.6},
    ):  # fmt: skip
        other = model.denoise(values[0], **{**told, **change})
        assert np.abs(other - alone)[:, [0, 2]].max() > 1e-3, change


# Energies


def spring(data):
    """A model that knows its energy: independent normal numbers, class q about 1 instead of 0."""

    def energies(given, drop=None):
        middle = tf.reduce_sum(given["whole"], axis=-1)[:, None, None]

        def energy(x, sigma, *previous):
            variance = (1.0 + tf.square(sigma))[:, None, None]
            return tf.reduce_sum(tf.square(x - middle) / variance, axis=[1, 2]) / 2.0

        return energy

    model = make("unet1d", processor=processor(data), energy=True, **LEAST)
    model.engine.denoiser.energies = energies
    return model


@pytest.mark.long
def test_the_denoiser_is_the_slope_of_the_energy():
    model = small(energy=True)
    batch = model.unpack(batch_of(everything(), 6))
    given = model.engine.denoiser.given(batch)
    x, _ = model.engine.emission(batch)
    sigma = tf.constant([0.3, 0.5, 1.0, 2.0])
    energy, denoiser = model.engine.denoiser.energies(given), model.engine.denoiser.denoiser(given)
    direction = np.random.default_rng(0).normal(size=x.shape).astype(np.float32)
    step = 1e-2
    change = (energy(x + step * direction, sigma) - energy(x - step * direction, sigma)) / 2 / step
    slope = (x - denoiser(x, sigma)) / tf.square(sigma)[:, None, None]
    np.testing.assert_allclose(
        tf.reduce_sum(slope * direction, axis=[1, 2]), change, rtol=0.02, atol=0.02
    )


@pytest.mark.long
def test_metropolis_steps_draw_from_the_energy():
    model = spring(numbers())
    heard = []
    drawn = model.generate(
        ROWS, length=6, seed=1, num_steps=30, solver="mala",
        progress=lambda *place: heard.append(place),
    )  # fmt: skip
    assert heard == [(1, 1)]
    assert drawn.mean() == pytest.approx(MEAN, abs=0.4) and drawn.std() == pytest.approx(
        STD, rel=0.1
    )
    other = model.generate(ROWS, length=6, seed=1, num_steps=30)
    assert np.abs(drawn - other).max() > 1
    # Guidance of energies moves the mean as that of denoisers does.
    data = numbers(labels=np.zeros(1, np.int32), classes=("p",))
    told = spring(data)
    told.engine.context.class_embedding.embeddings.assign([[1.0]])
    options = {"length": 6, "seed": 1, "num_steps": 30, "condition": "p"}
    for solver in ("mala", "dpmpp_2m"):
        means = [
            told.generate(ROWS, solver=solver, guidance_scale=scale, **options).mean()
            for scale in (0.0, 1.0, 2.0)
        ]
        np.testing.assert_allclose(means, MEAN + STD * np.arange(3), atol=0.4)


def test_a_denoiser_without_an_energy_takes_no_metropolis_steps(process):
    assert "energy=True" in message(process.generate, length=6, solver="mala")


# Gaps and what comes after


def conditional(seen, values, time):
    """Mean and standard deviation of the positions of a process, given some of them."""
    gain = COVARIANCE[:time, seen] @ np.linalg.inv(COVARIANCE[np.ix_(seen, seen)])
    spread = np.diag(COVARIANCE[:time, :time] - gain @ COVARIANCE[seen][:, :time])
    return MEAN + gain @ (values - MEAN), STD * np.sqrt(np.maximum(spread, 0))


# How far many samples of 50 steps may be from that law, in standard deviations of the process: their
# mean and their standard deviation. Measured: 0.20 and 0.07 of RePaint, 0.19 and 0.11 of guidance.
METHODS = {"repaint": (0.25, 0.15), "guidance": (0.25, 0.15)}


@pytest.mark.parametrize(
    "method",
    [
        pytest.param("repaint", marks=pytest.mark.long),
        pytest.param("guidance", marks=pytest.mark.long),
    ],
)
def test_gaps_are_filled_by_the_conditional_law(process, method):
    series = walk(1, 12, 5)[0]
    series[[3, 4, 5, 9]] = np.nan
    seen = np.flatnonzero(~np.isnan(series[:, 0]))
    mean, deviation = conditional(seen, series[seen, 0], 12)
    filled = process.impute(series, ROWS, seed=1, num_steps=50, method=method)
    assert filled.shape == (ROWS, 12, 1)
    np.testing.assert_array_equal(filled[:, seen], np.tile(series[seen], (ROWS, 1, 1)))
    of_mean, of_deviation = METHODS[method]
    np.testing.assert_allclose(filled.mean(0)[:, 0], mean, atol=of_mean * STD)
    np.testing.assert_allclose(filled.std(0)[:, 0], deviation, atol=of_deviation * STD)


@pytest.mark.parametrize(
    "method",
    [
        pytest.param("repaint", marks=pytest.mark.exhaustive),
        pytest.param("guidance", marks=pytest.mark.exhaustive),
    ],
)
def test_forecasts_have_the_conditional_law_each_as_if_alone(process, method):
    contexts = [each[:n] for each, n in zip(walk(3, 9, 6), (9, 2, 5))]
    forecast = process.forecast(contexts, 4, 1000, seed=1, num_steps=50, method=method)
    assert forecast.mean.shape == (3, 4, 1) and forecast.samples.shape == (3, 1000, 4, 1)
    of_mean, of_deviation = METHODS[method]
    steps = np.arange(1, 5)
    for row, context in enumerate(contexts):
        mean = MEAN + MEMORY**steps * (context[-1, 0] - MEAN)
        deviation = STD * np.sqrt(1 - MEMORY ** (2 * steps))
        samples = forecast.samples[row, ..., 0]
        np.testing.assert_allclose(samples.mean(0), mean, atol=of_mean * STD)
        np.testing.assert_allclose(samples.std(0), deviation, atol=of_deviation * STD)
    np.testing.assert_allclose(forecast.samples.mean(1), forecast.mean, rtol=1e-5)
    for level, quantile in forecast.quantiles.items():
        np.testing.assert_allclose(
            np.quantile(forecast.samples, level, axis=1), quantile, rtol=1e-5
        )


@pytest.mark.exhaustive
def test_more_resamplings_are_nearer_to_it():
    context = walk(1, 9, 6)[0]
    mean = MEAN + MEMORY ** np.arange(1, 5) * (context[-1, 0] - MEAN)
    model, errors = known(options={"generation": {"resamplings": 2}}), []
    for resamplings in (None, 20):
        forecast = model.forecast(context, 4, 1000, seed=1, num_steps=50, resamplings=resamplings)
        errors.append(np.abs(forecast.mean[:, 0] - mean).max() / STD)
    assert errors[1] < 0.12 < 0.25 < errors[0]
    gap = np.where(np.arange(9)[:, None] == 4, np.nan, context)
    filled = [model.impute(gap, 2, seed=1, resamplings=count)[:, 4] for count in (1, 3)]
    assert np.abs(filled[0] - filled[1]).min() > 1e-3


@pytest.mark.long
def test_a_longer_context_than_the_window_gives_its_last_part():
    model = known()
    model.recipe = Recipe("unet1d").override({"training.window": 8})
    series = walk(1, 12, 7)[0]
    other = series.copy()
    other[:7] += 50
    options = {"horizon": 3, "num_samples": 4, "seed": 1, "num_steps": 5}
    whole = model.forecast(series, **options).samples
    np.testing.assert_allclose(whole, model.forecast(series[-5:], **options).samples, rtol=1e-5)
    np.testing.assert_array_equal(whole, model.forecast(other, **options).samples)
    model.recipe = None
    model.reset_graphs()
    assert np.abs(model.forecast(series, **options).samples - whole).max() > 1e-3


@pytest.mark.long
def test_what_is_known_of_the_future_moves_the_forecast(rich):
    values = everything().values[0][:10]
    given = {
        "horizon": 4, "num_samples": 3, "seed": 1, "num_steps": 4, "static": [0.0],
        "condition": "p", "times": START + HOUR * np.arange(10), "known": np.zeros((14, 1)),
    }  # fmt: skip
    before = rich.forecast(values, **given)
    assert set(before.samples[..., 1].ravel()) <= {0.0, 1.0, 2.0}
    assert before.samples[..., 0].min() >= 0 and before.samples[..., 0].max() <= 9
    ahead = np.zeros((14, 1))
    ahead[12:] = 2
    for change in (
        {"known": ahead}, {"times": given["times"] + 5 * HOUR}, {"static": [2.0]},
        {"condition": "q"}, {"num_steps": 6}, {"seed": 2}, {"method": "guidance"},
    ):  # fmt: skip
        after = rich.forecast(values, **{**given, **change})
        assert np.abs(after.samples - before.samples)[..., 2].max() > 1e-2, change
    # Rows that go on from different places are told of different times.
    rows = [values, values[:6]]
    times = [given["times"], given["times"][:6]]
    known_too = np.zeros((2, 14, 1))
    both = rich.forecast(rows, **{**given, "times": times, "known": known_too})
    known_too[1, 10:] = 9  # more than the short row's four positions to come
    same = rich.forecast(rows, **{**given, "times": times, "known": known_too})
    np.testing.assert_allclose(both.samples, same.samples, rtol=1e-5)
    known_too[1, 9] = 9
    assert np.abs(
        rich.forecast(rows, **{**given, "times": times, "known": known_too}).samples - both.samples
    )[1].max() > 0.1  # fmt: skip


# Filling by a network that is told what was observed


def test_what_is_told_in_training():
    model = small(infilling=0.75)
    valid = np.arange(20) < np.where(np.arange(4000) % 2, 20, 8)[:, None]
    shown = model.engine.denoiser.shown(tf.constant([1, 2]), tf.constant(valid)).numpy()
    assert shown.shape == (4000, 20, 5)
    told = shown.any(axis=(1, 2))
    assert told.mean() == pytest.approx(0.75, abs=0.03)
    # The levels of a category are told together: channels 2 to 4.
    np.testing.assert_array_equal(shown[..., 2], shown[..., 4])
    missing = ~shown[told] & valid[told][..., None]
    per_feature = missing[..., [0, 1, 2]]
    pieces = per_feature.any(axis=-1)
    # One piece in a row, in half of the rows with an end that is the row's own.
    edges = np.diff(np.pad(pieces, [[0, 0], [1, 1]]).astype(int), axis=1)
    assert (edges == 1).sum(axis=1).max() == 1
    some = pieces.any(axis=1)  # a piece may fall between two positions
    last = np.where(valid[told].sum(axis=1) == 20, pieces[:, 19], pieces[:, 7])[some]
    assert some.mean() > 0.7 and 0.5 < last.mean() < 0.75
    # In half of them it is missing in every feature, else in each of three with a half.
    here = per_feature.any(axis=1)[some]
    assert here.all(axis=1).mean() == pytest.approx((1 + 1 / 8) / (2 - 1 / 8), abs=0.05)


def test_what_is_told_does_not_count():
    model = make("unet1d", processor=processor(everything()), infilling=0.9, seed=1, **LEAST)
    given = batch_of(everything(), 6)
    batch = model.unpack(given)
    x0, observed = (each.numpy() for each in model.engine.emission(batch))
    key = random.fold(random.root(0, random.EVALUATION), 4)
    known = observed & model.engine.denoiser.shown(key, batch["valid"]).numpy()
    assert known.any() and not known.all()
    covariates = model.engine.denoiser.given(batch, told=(x0, known))["covariates"].numpy()
    np.testing.assert_array_equal(covariates[..., -10:-5], np.where(known, x0, 0))
    np.testing.assert_array_equal(covariates[..., -5:], known)
    assert not model.engine.denoiser.given(batch)["covariates"].numpy()[..., -10:].any()
    sigma, noise = drawn_for(x0.shape)
    # The network says 0 at first.
    error, _, weight = HAND["edm"]
    wrong = weight(sigma, 1.0) * error(x0 + sigma * noise, x0, noise, sigma, 1.0) ** 2
    expected = wrong[observed & ~known].mean()
    assert float(model.batch_loss(batch)[0]) == pytest.approx(expected, rel=1e-4)


@pytest.mark.exhaustive
def test_a_network_that_was_told_fills_gaps_by_itself():
    # Eight positions of one number: what one of them is, all are.
    import keras

    values = np.repeat(np.random.default_rng(2).normal(size=[2048, 1, 1]), 8, axis=1)
    model = make("unet1d", of="numbers", **{**LEAST, "width": 16}, infilling=0.8, seed=1)
    rate = keras.optimizers.schedules.CosineDecay(1e-2, 480)
    model.compile(keras.optimizers.Adam(rate), jit_compile=False)
    model.fit(values.astype(np.float32), batch_size=128, epochs=30, verbose=0)
    gap = np.full([8, 1], np.nan, np.float32)
    gap[[0, 1, 7]] = 1.3
    options = {"seed": 1, "num_steps": 12}
    filled = model.impute(gap, 50, **options)[:, 2:7]
    assert filled.mean() == pytest.approx(1.3, abs=0.1) and filled.std() < 0.3
    np.testing.assert_array_equal(
        filled, model.impute(gap, 50, method="network", **options)[:, 2:7]
    )
    assert np.abs(filled - model.impute(gap, 50, method="repaint", **options)[:, 2:7]).max() > 1e-3
    forecast = model.forecast(np.full([2, 5, 1], [[[-0.8]], [[0.7]]]), 3, 50, **options)
    np.testing.assert_allclose(forecast.mean[:, :, 0], [[-0.8] * 3, [0.7] * 3], atol=0.1)
    assert forecast.samples.std(axis=1).max() < 0.15
    # And is still a model of the whole.
    assert model.generate(200, 8, **options).std() == pytest.approx(1, abs=0.2)


def test_what_a_network_is_told_is_its_estimate():
    model = small(infilling=0.5)
    x0, known = model.engine.emission(batch := model.unpack(batch_of(everything())))
    known &= tf.range(16)[None, :, None] < 9
    noise = tf.random.stateless_normal(x0.shape, [0, 1])
    estimate = model.engine.denoiser.denoiser(model.engine.denoiser.given(batch, told=(x0, known)))(
        x0 + noise, tf.ones(len(x0))
    )
    np.testing.assert_array_equal(estimate[known], x0[known])
    assert np.abs(estimate - x0)[:, 9:].min() > 0


def test_the_season_before_by_hand():
    nan = np.nan
    values = np.array([1, 2, 3, nan, 5, 6, nan, nan, nan, nan], np.float32)
    # Before, or else after; the mean 17 / 5 where neither is known.
    expected = {
        1: [2, 1, 2, 3, 3, 5, 6, 6, 6, 6],
        3: [3.4, 5, 6, 1, 2, 3, 1, 5, 6, 1],
        4: [5, 6, 3.4, 3.4, 1, 2, 3, 3.4, 5, 6],
        7: [3.4, 3.4, 3.4, 3.4, 3.4, 3.4, 3.4, 1, 2, 3],
        30: [3.4] * 10,
    }
    for season, before in expected.items():
        given = tf.constant(values)[None, :, None]
        found = season_before(given, ~tf.math.is_nan(given), season)[0, :, 0]
        np.testing.assert_allclose(found, before, rtol=1e-6, err_msg=f"season {season}")
    long = tf.range(3000.0)[None, :, None]
    found = season_before(long, long < 1, 1)[0, :, 0].numpy()  # from far away
    assert not found.any()
    assert not season_before(long, long < 0, 7).numpy().any()


def test_what_is_told_in_units_of_its_departures():
    denoiser = small(infilling=0.5, seasonal_skip=2).engine.denoiser
    x0 = np.zeros([2, 4, 5], np.float32)
    x0[0, :, 0], x0[:, :, 1], x0[1, :, 4] = [1, 2, 6, 50], 7, [0, 3, 3, 3]
    known = np.zeros([2, 4, 5], bool)
    known[0, :3, 0] = known[:, :, 1] = known[1, :2, 4] = True
    given = denoiser.told(tf.constant(x0), tf.constant(known))
    origin, unit = given["units"]
    # Channels 0 and 1 are the numbers, the others levels of the category.
    np.testing.assert_allclose(origin[0, :, 0], [6, 3, 1, 2])
    np.testing.assert_allclose(origin[:, :, 1], np.full([2, 4], 7))
    assert not np.any(origin[1, :, 0]) and not np.any(origin[..., 2:])
    spread, least = np.sqrt((25 + 1 + 25 + 1) / 4), np.sqrt(1 / 5)
    expected = [[spread, least, 1, 1, 1], [1, least, 1, 1, 1]]
    np.testing.assert_allclose(unit[:, 0], expected, rtol=1e-6)
    told, there = given["told"]
    np.testing.assert_allclose(told[0, :, 0], np.array([-5, -1, 5, 48]) / spread, rtol=1e-6)
    np.testing.assert_array_equal(there, known)
    same, _ = small(infilling=0.5).engine.denoiser.told(tf.constant(x0), tf.constant(known))["told"]
    np.testing.assert_array_equal(same, x0)


def test_auto_takes_the_season_that_was_found_or_the_last_value():
    for values, season in ((np.resize([0, 5, 1, 2, 8], 90), 5), (np.arange(90) ** 0.5, 1)):
        data = np.float32(values)[None, :, None]
        fitted = SequenceProcessor.fit(data, PreprocessingConfig(), seasons=True)
        model = make("unet1d", processor=fitted, infilling=0.5, seasonal_skip="auto", **LEAST)
        assert model.engine.denoiser.season == season


@pytest.mark.long
@pytest.mark.usefixtures("op_by_op")
def test_a_forecast_moves_with_the_level_of_what_is_told():
    context = walk(2, 12, seed=3)
    options = {"seed": 1, "num_steps": 2}
    for season in (0, 1, 5):
        model = small(numbers(), infilling=0.5, seasonal_skip=season)
        before = model.forecast(context, 3, 2, **options).samples
        after = model.forecast(context + 600, 3, 2, **options).samples
        if season:
            np.testing.assert_allclose(after - before, 600, atol=0.01)
            gap = context[0].copy()
            gap[5:7] = np.nan
            filled = model.impute(gap + 600, 2, **options) - model.impute(gap, 2, **options)
            np.testing.assert_allclose(filled, 600, atol=0.01)
        else:
            assert np.abs(after - before - 600).max() > 100


@pytest.mark.long
def test_bounds_of_what_departs_from_the_season_before():
    # The bounds are those of the data, wherever the window is.
    model = small(numbers(high=MEAN + 2 * STD), infilling=0.5, seasonal_skip=1)
    context = np.full([1, 6, 1], MEAN + 1.9 * STD, np.float32)
    context[:, ::2] -= 1
    drawn = model.forecast(context, 4, 20, seed=1, num_steps=4).samples
    assert drawn.max() <= MEAN + 2 * STD < drawn.max() + STD
    assert (drawn < MEAN + 2 * STD).any()


@pytest.mark.long
@pytest.mark.usefixtures("op_by_op")
def test_guidance_of_a_network_that_was_told():
    model, data = small(infilling=0.5), everything()
    given = batch_of(data)
    told = {name: given[name][0] for name in ("times", "known", "static")}
    options = {**told, "condition": 1, "seed": 1, "num_steps": 3}
    gap = given["values"][0].copy()
    gap[5:9, 0] = np.nan
    filled = [model.impute(gap, 1, guidance_scale=scale, **options) for scale in (1.0, 3.0)]
    assert np.abs(filled[0] - filled[1])[:, 5:9, 0].max() > 0.01


def test_filling_by_a_network_that_was_told_nothing(process):
    assert "infilling above 0" in message(process.impute, walk(1, 6, 5)[0], method="network")


# Frames of samples


@pytest.fixture(scope="module")
def framed():
    return known(
        sounds(), {"frame": 4, "sigma_data": 0.2}, {"scaler": "none"}, spread=0.2,
        middle=np.array([0.4, 0, 0, 0], np.float32),
    )  # fmt: skip


def test_frames_go_in_and_come_out_as_samples(framed):
    # The first coefficient of four is twice their mean.
    drawn = framed.generate(ROWS, length=22, seed=1, num_steps=20)
    assert drawn.shape == (ROWS, 22, 1)
    np.testing.assert_allclose(drawn.mean(axis=(0, 2)), 0.2, atol=0.05)
    assert drawn.std() == pytest.approx(0.2, rel=0.1)
    # Coefficients go on from frame to frame, samples within one are independent.
    whole = drawn[:, :20, 0].reshape(-1, 5, 4)
    lag = np.corrcoef(whole[:, 1, 0], whole[:, 2, 0])[0, 1]
    assert lag == pytest.approx(MEMORY, abs=0.1)
    assert abs(np.corrcoef(whole[:, 1, 0], whole[:, 1, 1])[0, 1]) < 0.2

    values = sounds().values[0]
    sigma = 0.15
    frames = np.zeros([6, 4])
    frames.ravel()[:21] = values[:, 0]
    middle = 0.2
    shrunk = middle + np.linalg.solve(
        COVARIANCE[:6, :6] + (sigma / 0.2) ** 2 * np.eye(6), COVARIANCE[:6, :6]
    ) @ (frames - middle)
    denoised = framed.denoise(values, sigma)
    np.testing.assert_allclose(denoised[:, 0], shrunk.ravel()[:21], atol=1e-4)
    latents = framed.encode(values, num_steps=40)
    assert latents.shape == (6, 4)
    back = framed.decode(latents, lengths=21, num_steps=40)
    np.testing.assert_allclose(back[:21], values, atol=0.01)
    assert back.shape == (24, 1) and np.isnan(back[21:]).all()


@pytest.mark.long
def test_the_score_of_frames():
    model = known(sounds(), {"frame": 4}, {"scaler": "none"}, white=True, spread=0.2)
    values = sounds().values[0]
    # What is left of the last frame counts as silence.
    each = stats.norm.logpdf(np.append(values[:, 0], [0, 0, 0]), 0, 0.2)
    score = model.score(values, num_steps=40)
    assert score["log_likelihood"] == pytest.approx(each.sum(), abs=0.05)
    assert score["values"] == 21
    values[6] = np.nan  # and with it the frame
    score = model.score(values, num_steps=40)
    assert score["log_likelihood"] == pytest.approx(each.sum() - each[4:8].sum(), abs=0.05)
    assert score["values"] == 17


@pytest.mark.exhaustive
def test_a_forecast_of_frames_goes_on_right_after_its_context(framed):
    values = sounds().values[0] + 0.1
    options = {"horizon": 6, "num_samples": 400, "seed": 1, "num_steps": 30}
    forecast = framed.forecast(values, **options)
    assert forecast.samples.shape == (400, 6, 1)
    # The future is the frame after the last four samples, whatever was before them.
    np.testing.assert_allclose(
        forecast.samples, framed.forecast(values[1:], **options).samples, atol=1e-5
    )
    mean = 0.2 + MEMORY * (values[-4:, 0] - 0.2)
    np.testing.assert_allclose(forecast.mean[:4, 0], mean, atol=0.25 * 0.2 * 2)
    assert framed.forecast(values[:3], **options).samples.shape == (400, 6, 1)
    series = values.copy()
    series[[2, 9, 20]] = np.nan
    filled = framed.impute(series, 3, seed=0, num_steps=5)
    assert filled.shape == (3, 21, 1) and np.isfinite(filled).all()
    np.testing.assert_array_equal(filled[:, :2], np.stack([series[:2]] * 3))


# What it shows, and mistakes


def test_activations_have_the_names_of_their_blocks():
    model = small()
    shown = model.activations(batch_of(everything()))
    assert {"down_0_block_0", "middle_attention", "last_block"} <= set(shown)
    assert shown["middle_block_0"].shape == (4, 8, 8)
    assert model(batch_of(everything())).shape == (4, 16, model.engine.emission.channels)


GIVEN = {"static": [0.0], "known": np.zeros((10, 1)), "length": 10}
SERIES = {"static": [0.0], "known": np.zeros((10, 1)), "times": START + HOUR * np.arange(10)}
MISTAKES = [
    ("generate", {"seed": "x"}, "seed='x'"),
    ("generate", {"solver": "eulr"}, "euler"),
    ("generate", {"solver": ["euler"]}, "solver must be a string"),
    ("generate", {"condition": "r"}, "'r'"),
    ("generate", {"condition": 2}, "condition=2"),
    ("generate", {"condition": ["p", "q"]}, "2 classes"),
    ("generate", {"static": None}, "static is needed"),
    ("generate", {"static": [1.0, 2.0]}, "static must have 1"),
    ("generate", {"known": None}, "known=None"),
    ("generate", {"known": np.zeros((9, 1))}, "(9, 1)"),
    ("generate", {"start_time": "yesterday"}, "yesterday"),
    ("forecast", {"method": "repeat"}, "repaint"),
    ("forecast", {"times": None}, "times is needed"),
    ("forecast", {"known": np.zeros((10, 1))}, "known must have 12"),
    ("impute", {"method": ["guidance"]}, "guidance"),
    ("impute", {"num_samples": 1.5}, "num_samples=1.5"),
    ("impute", {"resamplings": 0}, "resamplings=0"),
    ("impute", {"method": "guidance", "resamplings": 3}, "by 'guidance' here. Received: resamp"),
    ("forecast", {"method": "guidance", "resamplings": 3}, "resamplings=3"),
    ("score", {"series": np.zeros((10, 2))}, "(10, 2)"),
    ("score", {"series": np.zeros((0, 3))}, "Received"),
    ("score", {"num_steps": 1}, "num_steps=1"),
    ("score", {"seed": 0.5}, "seed=0.5"),
    ("score", {"method": "bound"}, "elbo"),
    ("encode", {"num_steps": 1}, "num_steps=1"),
    ("encode", {"times": np.arange(9)}, "times"),
    ("decode", {"latents": np.zeros((10, 4))}, "(10, 4)"),
    ("decode", {"latents": "noise"}, "latents='noise'"),
    ("decode", {"latents": np.full((10, 5), np.nan)}, "NaN"),
    ("decode", {"lengths": 11}, "lengths=[11"),
    ("decode", {"lengths": [3, 4]}, "lengths must be"),
    ("decode", {"lengths": "all"}, "lengths='all'"),
    ("decode", {"num_steps": 1}, "num_steps=1"),
    ("denoise", {"sigma": 0}, "sigma=[0.0]"),
    ("denoise", {"sigma": [1.0, 2.0]}, "sigma must be"),
    ("denoise", {"sigma": None}, "sigma"),
    ("denoise", {"sigma": "much"}, "sigma='much'"),
]  # fmt: skip


@pytest.mark.parametrize(
    "method, change, part", MISTAKES, ids=[f"{m}-{part}" for m, _, part in MISTAKES]
)
def test_mistakes_are_told_in_one_line(rich, method, change, part):
    series = {"context" if method == "forecast" else "series": np.ones((10, 3))}
    usual = {
        "generate": GIVEN,
        "forecast": {**SERIES, **series, "known": np.zeros((12, 1)), "horizon": 2},
        "impute": {**SERIES, **series},
        "score": {**SERIES, **series},
        "encode": {**SERIES, **series},
        "decode": {**SERIES, "latents": np.zeros((10, 5))},
        "denoise": {**SERIES, **series, "sigma": 1.0},
    }[method]
    assert part in message(getattr(rich, method), **{**usual, **change})


@pytest.mark.long
@pytest.mark.parametrize("solver", ["dpmpp_2m", "ddpm"])
def test_a_sample_does_not_depend_on_how_many_there_are(solver):
    """One alone, four at a time, or sixty-four at once: row i has the noise of row i."""
    model = small(numbers(), LEAST, seed=2)
    model.engine.without_xla()
    options = {"length": 4, "seed": 3, "num_steps": 3, "solver": solver}
    many = model.generate(40, **options)
    for count in (1, 2, 12):
        np.testing.assert_allclose(model.generate(count, **options), many[:count], rtol=1e-4)
    assert len(np.unique(many)) == many.size


def test_few_sizes_are_compiled_for():
    sizes = [int(batch_size(tf.constant(rows))) for rows in (1, 2, 4, 8, 9, 32, 33, 65, 500)]
    assert sizes == [1, 4, 4, 4, 4, 4, 64, 128, 256]


@pytest.mark.long
def test_progress_goes_on_over_batches():
    model = small(numbers(), LEAST)
    model.engine.without_xla()
    told = []
    model.generate(12, length=4, seed=1, num_steps=2, progress=lambda *each: told.append(each))
    assert told == [(1, 2), (2, 2)]  # three batches of two evaluations


@pytest.mark.long
def test_a_first_call_that_takes_long_says_that_it_compiles(monkeypatch, capsys):
    monkeypatch.setattr(first_calls, "SECONDS", 0.0)
    model = small(numbers(), LEAST)
    model.engine.without_xla()
    options = {"length": 4, "seed": 1, "num_steps": 2}
    model.generate(2, **options)
    output = capsys.readouterr()
    assert output.err == "tfgen: compiling, the first call only\n" and not output.out
    model.generate(3, **options)  # goes through what is compiled already
    assert not capsys.readouterr().err
    monkeypatch.setattr(first_calls, "SECONDS", 100.0)
    model.generate(1, **options)
    assert not capsys.readouterr().err
