"""Models of numbers: likelihoods in the data's units, drawing, forecasting, filling gaps."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import fft, stats

from tfgen.data import Feature, Sequences
from tfgen.errors import InputError
from tfgen.models import make as new_model
from tfgen.preprocessing import SequenceProcessor
from tfgen.recipe import PreprocessingConfig

pytestmark = pytest.mark.usefixtures("op_by_op")

HOUR = 3600


def sequences(features=2, count=3, length=40, kind="series", **extra):
    rng = np.random.default_rng(0)
    values = [(10 * rng.random((length, features)) + 2).astype(np.float32) for _ in range(count)]
    return Sequences(
        "made", kind, extra.pop("features_of", None)
        or tuple(Feature(f"x{i}") for i in range(features)),
        values, [str(i) for i in range(count)], **extra,
    )  # fmt: skip


def processor(data=None, **config):
    return SequenceProcessor.fit(
        data or sequences(), PreprocessingConfig(**{"calendar": True, **config})
    )


def recurrent(**options):
    options = {"cell": "gru", "units": 8, "layers": 1, "seed": 1, **options}
    return new_model("lstm", "numbers", **options)


def transformer(**options):
    options = {"layers": 2, "heads": 2, "width": 8, "seed": 1, **options}
    return new_model("transformer", "numbers", **options)


MAKERS = pytest.mark.parametrize(
    "make", [recurrent, pytest.param(transformer, marks=pytest.mark.long)]
)


def message(call, *args, **kwargs):
    with pytest.raises(InputError) as caught:
        call(*args, **kwargs)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def silence(head):
    """A head that gives the same distribution whatever the network says."""
    head.dense.kernel.assign(tf.zeros_like(head.dense.kernel))
    return head(tf.zeros([1, head.dense.kernel.shape[0]]))


# Likelihoods


@pytest.mark.parametrize(
    "config",
    [
        {"scaler": "none"}, {"scaler": "standard"}, {"scaler": "min_max"}, {"scaler": "robust"},
        {"scaler": "mean"}, {"scaler": "standard", "log1p": ["x1"]}, {"scaler": "mu_law"},
    ],
    ids=str,
)  # fmt: skip
def test_the_likelihood_is_a_density_in_the_datas_units(config):
    # The model's head is a constant Student-t of the scaled value. A density of y = f(x) is that
    # of y times |dy/dx|, here by a central difference of the scaler itself.
    data = processor(**config)
    model = recurrent(processor=data, head="student_t")
    parameters = {k: v.numpy()[0] for k, v in silence(model.engine.emission.number_head).items()}
    values = sequences().values[0][:6].astype(np.float64)
    scale = np.abs(values).mean(axis=0, keepdims=True).astype(np.float32)

    def scaled(x):
        return data.scale_numbers(tf.constant(x, tf.float32), tf.constant(scale)).numpy()

    step = 0.05
    slope = (scaled(values + step).astype(np.float64) - scaled(values - step)) / (2 * step)
    expected = stats.t.logpdf(
        scaled(values), parameters["df"], parameters["locations"], parameters["scales"]
    )
    score = model.score(values)
    assert score["log_likelihood"] == pytest.approx(
        np.sum(expected + np.log(np.abs(slope))), abs=0.01
    )
    assert score["values"] == 12
    assert score["nats_per_value"] == pytest.approx(-score["log_likelihood"] / 12)
    assert score["nats_per_position"] == pytest.approx(-score["log_likelihood"] / 6)


def test_padding_and_missing_values_say_nothing():
    made = sequences()
    made.values[0][3, 1] = np.nan
    model = recurrent(processor=processor(made), head="student_t")
    first, second = made.values[0][:10], made.values[1][:20]
    together = model.score([first, second])
    alone = [model.score(first), model.score(second)]
    np.testing.assert_allclose(
        together["log_likelihood"], [a["log_likelihood"] for a in alone], rtol=1e-5
    )
    assert list(together["values"]) == [19, 40]
    # A value that is missing at the end costs nothing and changes nothing before it.
    ended = first.copy()
    ended[-1] = np.nan
    assert model.score(ended)["log_likelihood"] == pytest.approx(
        model.score(first[:-1])["log_likelihood"], rel=1e-5
    )


def test_the_end_of_a_drawing_is_part_of_its_likelihood():
    made = sequences(kind="strokes", ends=True)
    model = recurrent(processor=processor(made), head="gaussian_mixture", components=2)
    parameters = silence(model.engine.emission.category_head)
    logits = next(iter(tf.nest.flatten(parameters))).numpy()[0]
    log_shares = logits - np.logaddexp.reduce(logits)
    silence(model.engine.emission.number_head)
    whole = model.score(made.values[0][:5])["log_likelihood"]
    # As a part of a series, one position more would cost its numbers alone.
    without = recurrent(processor=processor(sequences()), head="gaussian_mixture", components=2)
    without.engine.emission.number_head.set_weights(model.engine.emission.number_head.get_weights())
    numbers = without.score(made.values[0][:5])["log_likelihood"]
    assert whole - numbers == pytest.approx(4 * log_shares[0] + log_shares[1], abs=1e-3)


# Drawing


@MAKERS
def test_what_is_drawn_is_what_the_whole_network_would_have_drawn(make):
    # Without noise each position is the middle of the likeliest component, as the network over the
    # whole sequence gives it: the loop with its state does the same as the network without one.
    data = processor()
    model = make(processor=data, head="gaussian_mixture", components=1, bounding="none")
    drawn = model.generate(num_samples=2, length=12, temperature=0.0)
    means = model(drawn)["numbers"]["means"][:, :, 0]
    np.testing.assert_allclose(data.unscale_numbers(means), drawn, rtol=2e-5, atol=2e-5)


@pytest.mark.long
@pytest.mark.usefixtures("as_graphs")
def test_nothing_is_compiled_again_for_another_length_or_seed():
    model = recurrent(processor=processor())
    model.generate(num_samples=2, length=20, seed=1)
    traces = model.engine.roll.experimental_get_tracing_count()
    for length in (5, 11, 32):
        model.generate(num_samples=2, length=length, seed=length, temperature=0.5)
    assert model.engine.roll.experimental_get_tracing_count() == traces


def test_temperature_and_bias_narrow_what_is_drawn():
    model = recurrent(processor=processor(), head="gaussian_mixture", components=2)
    silence(model.engine.emission.number_head)
    spread = [
        model.generate(400, 1, seed=1, **option).std()
        for option in ({}, {"temperature": 0.25}, {"bias": np.log(4.0)}, {"temperature": 4.0})
    ]
    # Of one narrow pair of components: the deviation goes as the root, and as exp(-bias).
    assert spread[1] < 0.75 * spread[0] and spread[2] < 0.5 * spread[0] < spread[3] / 3


def test_drawings_end_by_themselves():
    made = sequences(kind="strokes", ends=True)
    model = recurrent(processor=processor(made))
    parameters = silence(model.engine.emission.category_head)
    logits = next(iter(tf.nest.flatten(parameters))).numpy()[0]
    share = np.exp(logits[1]) / np.exp(logits).sum()
    drawn = model.generate(num_samples=500, length=64, seed=1)
    lengths = np.array([len(one) for one in drawn])
    assert isinstance(drawn, list) and not any(np.isnan(one).any() for one in drawn)
    # Geometric, cut at 64.
    expected = np.minimum(stats.geom(share).rvs(size=100_000, random_state=0), 64).mean()
    assert lengths.mean() == pytest.approx(expected, abs=4 * lengths.std() / np.sqrt(500) + 0.05)


# Bounds


@pytest.fixture(scope="module")
def bounded():
    features = (Feature("x0", low=2.0, high=12.0), Feature("x1", low=5.0))
    made = sequences(features_of=features)
    for values in made.values:
        values[:, 1] = np.maximum(values[:, 1], 5.0)
    return made


def inside(x):
    return (x[..., 0] >= 2).all() and (x[..., 0] <= 12).all() and (x[..., 1] >= 5).all()


@MAKERS
def test_without_bounds_some_of_what_is_drawn_lies_outside(make, bounded):
    model = make(processor=processor(bounded), bounding="none")
    assert not inside(model.generate(num_samples=8, length=20, seed=1, temperature=3.0))


@MAKERS
@pytest.mark.parametrize(
    "bounding",
    [
        "hard",
        *(
            pytest.param(each, marks=pytest.mark.exhaustive)
            for each in ("straight_through", "inward", "squash")
        ),
    ],
)
def test_bounds_hold_in_all_that_is_drawn(make, bounding, bounded):
    model = make(processor=processor(bounded), bounding=bounding)
    values, _, clip_fraction = model.draw(num_samples=8, length=20, seed=1, temperature=3.0)
    assert inside(values) and 0 < clip_fraction < 1
    at_bound = np.isin(values, np.float32([2.0, 12.0, 5.0]))
    assert np.mean(at_bound) == pytest.approx(clip_fraction, abs=0.02)
    forecast = model.forecast(bounded.values[0], 5, num_samples=20, seed=1, temperature=3.0)
    assert all(inside(x) for x in (forecast.mean, forecast.samples, *forecast.quantiles.values()))


# A process whose every conditional law is known: x[n] = 0.8 x[n-1] + e, e ~ N(0, 1).

ROOT, MEMORY = 1.0, 0.8


@pytest.fixture(scope="module")
def learned():
    import keras

    rng = np.random.default_rng(1)
    values = np.zeros((12000, 1), np.float32)
    for index in range(1, len(values)):
        values[index] = MEMORY * values[index - 1] + ROOT * rng.normal()
    data = Sequences("ar", "series", (Feature("x"),), [values + 100], ["0"])
    model = recurrent(units=16, processor=processor(data), head="gaussian_mixture", components=1)
    windows = (values + 100).reshape(120, 100, 1)
    model.compile(keras.optimizers.Adam(1e-2))
    model.fit(windows, batch_size=24, epochs=60, verbose=0)
    model.compile(keras.optimizers.Adam(1e-3))
    model.fit(windows, batch_size=24, epochs=30, verbose=0)
    return model


def ar1(length, seed):
    rng = np.random.default_rng(seed)
    values = [rng.normal() / np.sqrt(1 - MEMORY**2)]
    for _ in range(length - 1):
        values.append(MEMORY * values[-1] + rng.normal())
    return (np.array(values)[:, None] + 100).astype(np.float32)


@pytest.mark.long
def test_it_learns_the_entropy_of_a_process(learned):
    entropy = 0.5 * np.log(2 * np.pi * np.e)
    score = learned.score([ar1(500, seed) for seed in range(8)])
    assert np.mean(score["nats_per_value"]) == pytest.approx(entropy, abs=0.05)


@pytest.mark.long
@pytest.mark.usefixtures("as_graphs")
def test_a_forecast_has_the_mean_and_the_spread_of_the_process(learned):
    context = [ar1(60, seed) for seed in range(4)]
    forecast = learned.forecast(context, 6, num_samples=2000, seed=1)
    assert forecast.mean.shape == (4, 6, 1) and forecast.samples.shape == (4, 2000, 6, 1)
    for row, past in enumerate(context):
        steps = np.arange(1, 7)
        mean = 100 + MEMORY**steps * (past[-1, 0] - 100)
        deviation = np.sqrt((1 - MEMORY ** (2 * steps)) / (1 - MEMORY**2))
        np.testing.assert_allclose(forecast.mean[row, :, 0], mean, atol=0.3)
        for level, quantile in forecast.quantiles.items():
            expected = stats.norm.ppf(level, mean, deviation)
            np.testing.assert_allclose(quantile[row, :, 0], expected, atol=0.45)
    np.testing.assert_allclose(forecast.samples.mean(axis=1), forecast.mean, rtol=1e-5)
    np.testing.assert_allclose(
        np.quantile(forecast.samples, 0.1, axis=1), forecast.quantiles[0.1], rtol=1e-5
    )


@pytest.mark.long
@pytest.mark.usefixtures("as_graphs")
def test_a_gap_is_filled_given_what_comes_after_it_too(learned):
    series = ar1(40, 3)
    series[20:24] = np.nan
    series[24] = 104.0  # far from where the past alone would lead
    series[19] = 100.0
    filled = learned.impute(series, num_samples=400, seed=1, particles=4000)
    seen = ~np.isnan(series)
    assert filled.shape == (400, 40, 1)
    np.testing.assert_array_equal(
        filled[:, seen[:, 0]], np.tile(series[seen][:, None], (400, 1, 1))
    )
    # The law of a Gaussian bridge, from the joint covariance of positions 19 to 24.
    lags = np.abs(np.arange(6)[:, None] - np.arange(6))
    covariance = MEMORY**lags / (1 - MEMORY**2)
    gap, ends = [1, 2, 3, 4], [0, 5]
    gain = covariance[np.ix_(gap, ends)] @ np.linalg.inv(covariance[np.ix_(ends, ends)])
    mean = 100 + gain @ [0.0, 4.0]
    spread = covariance[np.ix_(gap, gap)] - gain @ covariance[np.ix_(ends, gap)]
    np.testing.assert_allclose(filled[:, 20:24, 0].mean(axis=0), mean, atol=0.35)
    np.testing.assert_allclose(filled[:, 20:24, 0].std(axis=0), np.sqrt(np.diag(spread)), atol=0.25)
    # Filtering alone would have stayed near the past.
    assert mean[-1] > 102.5 and MEMORY**4 * 0.0 + 100 < 101


@pytest.mark.long
def test_contexts_of_different_lengths_are_each_as_if_alone(learned):
    long, short = ar1(50, 1), ar1(9, 2)
    both = learned.forecast([long, short], 3, num_samples=500, seed=1)
    alone = learned.forecast(short, 3, num_samples=500, seed=2)
    assert alone.mean.shape == (3, 1)
    np.testing.assert_allclose(both.mean[1], alone.mean, atol=0.35)


@pytest.mark.long
def test_embeddings_tell_what_was_read(learned):
    series = [ar1(30, seed) for seed in range(3)]
    last = learned.encode(series, pooling="last")
    assert last.shape == (3, 16)
    np.testing.assert_allclose(last[1], learned.encode(series[1], pooling="last"), rtol=1e-4)
    changed = series[1].copy()
    changed[-1] += 3
    assert not np.allclose(learned.encode(changed, pooling="last"), last[1], atol=1e-3)
    assert not np.allclose(learned.encode(series), last)


# Conditions, covariates and times


def labelled():
    made = sequences(count=4, labels=np.array([0, 1, 0, 1], np.int32), classes=("low", "high"))
    return made


@MAKERS
def test_classes_by_name_or_number(make):
    model = make(processor=processor(labelled()))
    low = model.generate(2, 6, seed=1, condition="low")
    np.testing.assert_array_equal(low, model.generate(2, 6, seed=1, condition=0))
    mixed = model.generate(2, 6, seed=1, condition=["low", "high"])
    np.testing.assert_allclose(mixed[0], low[0], rtol=1e-5)
    assert not np.allclose(mixed[1], low[1])
    assert not np.allclose(low, model.generate(2, 6, seed=1))
    series = labelled().values[0]
    scores = {model.score(series, condition=c)["log_likelihood"] for c in (None, 0, 1)}
    assert len(scores) == 3
    assert "lwo" in message(model.generate, condition="lwo")
    assert "from 0 to 1" in message(model.generate, condition=2)
    assert "2 classes" in message(model.generate, 3, 6, condition=[0, 1])
    unclassed = make(processor=processor())
    assert "trained with classes" in message(unclassed.generate, condition=0)


def test_classes_are_hidden_from_some_of_a_batch_in_training():
    made = labelled()
    losses = []
    for rate in (0.0, 0.9):
        model = recurrent(processor=processor(made), condition_dropout=rate)
        batch = model.unpack({"values": np.stack(made.values), "label": made.labels})
        key = tf.constant([1, 2])
        losses.append(float(model.batch_loss(batch, key, training=True)[0]))
        hidden = {**batch, "label": tf.fill([4], -1)}
        losses.append(float(model.batch_loss(hidden)[0]))
    assert losses[0] != pytest.approx(losses[1], rel=1e-6)
    assert losses[2] != pytest.approx(losses[0], rel=1e-6)


@pytest.mark.long
def test_static_numbers_and_known_covariates_and_times():
    count, length = 3, 40
    known = [np.linspace(0, 1, length, dtype=np.float32)[:, None] for _ in range(count)]
    times = [1_600_000_000 + HOUR * np.arange(length) for _ in range(count)]
    made = sequences(
        count=count, length=length, known=known, known_names=("k",),
        static=np.array([[1.0], [2.0], [4.0]], np.float32), static_names=("s",), times=times,
    )  # fmt: skip
    model = recurrent(processor=processor(made))
    given = {"static": [1.0], "known": known[0][:6], "start_time": "2020-09-13T12:00"}
    first = model.generate(2, 6, seed=1, **given)
    others = (
        {"static": [4.0]}, {"known": known[0][:6] + 1}, {"start_time": "2020-09-13T18:00"},
    )  # fmt: skip
    for other in others:
        assert not np.allclose(first, model.generate(2, 6, seed=1, **{**given, **other}))
    # The same time in each of its forms.
    for start in (np.datetime64("2020-09-13T12:00"), 1_599_998_400):
        np.testing.assert_array_equal(
            first, model.generate(2, 6, seed=1, **{**given, "start_time": start})
        )
    # One for each sample.
    each = model.generate(2, 6, seed=1, **{**given, "start_time": [1_599_998_400, 1_600_020_000]})
    np.testing.assert_allclose(each[0], first[0], rtol=1e-5)
    assert not np.allclose(each[1], first[1])
    assert "one for each" in message(model.generate, 2, 6, **{**given, "start_time": [0, 1, 2]})
    context = {"times": times[0][:30], "static": [1.0], "known": known[0][:34]}
    forecast = model.forecast(made.values[0][:30], 4, seed=1, **context)
    later = {**context, "times": times[0][:30] + 6 * HOUR}
    assert not np.allclose(
        forecast.mean, model.forecast(made.values[0][:30], 4, seed=1, **later).mean
    )
    assert "6 positions" in message(model.generate, 2, 6, **{**given, "known": known[0][:5]})
    assert "static" in message(model.generate, 2, 6, known=known[0][:6])
    assert "times" in message(model.score, made.values[0], static=[1.0], known=known[0])
    assert "ISO 8601" in message(model.generate, 2, 6, **{**given, "start_time": "noon"})
    plain = recurrent(processor=processor())
    for name, value in {"static": [1.0], "known": [[1.0]], "start_time": 0}.items():
        assert name in message(plain.generate, **{name: value})


@pytest.mark.long
def test_a_series_is_read_on_its_own_scale():
    model = recurrent(processor=processor(scaler="mean"), head="student_t")
    context = sequences().values[0]
    small = model.forecast(context, 4, num_samples=50, seed=1)
    large = model.forecast(1000 * context, 4, num_samples=50, seed=1)
    # log(scale) is an input too, so it is not just a factor of 1000; but nearly.
    assert 300 < np.median(np.abs(large.samples)) / np.median(np.abs(small.samples)) < 3000


@pytest.mark.long
def test_categories_are_drawn_with_the_numbers():
    features = (Feature("x0"), Feature("sky", levels=("clear", "rain")))
    made = sequences(features_of=features)
    for values in made.values:
        values[:, 1] = np.arange(len(values)) % 2
    model = recurrent(processor=processor(made))
    drawn = model.generate(num_samples=4, length=50, seed=1)
    assert set(np.unique(drawn[..., 1])) == {0.0, 1.0}
    assert not np.isin(drawn[..., 0], [0.0, 1.0]).any()
    series = made.values[0].copy()
    with_category = model.score(series)
    series[:, 1] = np.nan
    without = model.score(series)
    assert with_category["values"] == 80 and without["values"] == 40
    assert with_category["log_likelihood"] != without["log_likelihood"]


# Units of what came before, and frames of samples


def sounds(count=4, length=21):
    rng = np.random.default_rng(3)
    values = [0.2 * rng.normal(size=[length - 3 * i, 1]) for i in range(count)]
    return Sequences(
        "made", "audio", (Feature("amplitude", low=-1.0, high=1.0),),
        [each.astype(np.float32) for each in values], [str(i) for i in range(count)],
        sample_rate=100, ends=True,
    )  # fmt: skip


def framed(make=recurrent, **options):
    data = processor(sounds(), scaler="none")
    options = {"head": "gaussian_mixture", "components": 2, "frame": 4, **options}
    return make(processor=data, **options)


@pytest.mark.parametrize("skip", [False, True])
def test_a_position_is_told_in_units_of_the_one_before(skip):
    model = recurrent(
        processor=processor(scaler="standard"), head="student_t", linear_skip=skip, local_scale=0.3
    )
    parameters = {k: v.numpy()[0] for k, v in silence(model.engine.emission.number_head).items()}
    values = sequences().values[0][:6]
    scaled = model.processor.scale_numbers(values).numpy().astype(np.float64)
    before = np.concatenate([np.zeros([1, 2]), scaled[:-1]])
    unit = np.sqrt((before**2).mean(axis=1, keepdims=True) + 0.3**2)
    unit[0] = 1  # before a beginning there is nothing
    origin = before if skip else 0  # the skip starts as the identity
    expected = stats.t.logpdf(
        (scaled - origin) / unit, parameters["df"], parameters["locations"], parameters["scales"]
    )
    slopes = np.log(model.processor.scale_numbers(values + 1).numpy() - scaled)
    assert model.score(values)["log_likelihood"] == pytest.approx(
        np.sum(expected - np.log(unit) + slopes), abs=0.01
    )


def test_what_is_drawn_is_in_units_of_the_one_before():
    # A head that always tells N(0, 3^2) in these units: each size is some 3 times the one before.
    model = framed(recurrent, frame=16, local_scale=1e-3, bounding="none", components=1)
    silence(model.engine.emission.number_head)
    scale = np.log(np.expm1(3.0))  # softplus gives 3 of it
    model.engine.emission.number_head.dense.bias.assign(
        [0.0] * 17 + [scale] * 16
    )  # logit, means, scales
    model.engine.emission.category_head.dense.bias.assign([50.0, -50.0])  # never the end
    drawn, _, _ = model.draw(num_samples=200, length=4 * 16, seed=0)
    sizes = np.sqrt((drawn.reshape(200, 4, 16) ** 2).mean(axis=2))
    assert np.median(sizes[:, 0]) == pytest.approx(3, rel=0.1)
    growth = np.log(sizes[:, 1:] / sizes[:, :-1])
    assert np.mean(growth) == pytest.approx(np.log(3) - 1 / 32, abs=0.03)  # E log of a chi^2 / 16


def test_the_likelihood_of_frames():
    # 21 samples are five frames of 4, and one of a sample and the silence after it.
    model = framed()
    values = sounds().values[0]
    parameters = {k: v.numpy()[0] for k, v in silence(model.engine.emission.number_head).items()}
    ends = silence(model.engine.emission.category_head)["logits"].numpy()[0]
    frames = np.zeros([6, 4])
    frames.ravel()[:21] = values[:, 0]
    frames = fft.dct(frames, norm="ortho")  # of determinant 1
    logits = parameters["logits"] - np.logaddexp.reduce(parameters["logits"])
    each = stats.norm.logpdf(frames[:, None], parameters["means"], parameters["scales"])
    each = each.sum(axis=-1) + logits  # (frames, components)
    last = ends - np.logaddexp.reduce(ends)
    expected = np.logaddexp.reduce(each, axis=-1).sum() + 5 * last[0] + last[1]
    score = model.score(values)
    assert score["log_likelihood"] == pytest.approx(expected, abs=1e-3)
    assert score["values"] == 21
    assert score["nats_per_position"] == pytest.approx(-expected / 21, abs=1e-3)
    loss, _ = model.batch_loss(model.unpack(values[None]))
    assert float(loss) == pytest.approx(-expected / 6, abs=1e-3)


@MAKERS
def test_frames_go_in_and_come_out_as_samples(make):
    model = framed(make)
    model.engine.emission.category_head.dense.bias.assign([5.0, -5.0])
    drawn, lengths, _ = model.draw(num_samples=3, length=22, seed=0)
    assert drawn.shape == (3, 22, 1)
    assert all(size == 22 or size % 4 == 0 for size in lengths)
    alone = model.generate(num_samples=1, length=22, seed=0)[0]
    np.testing.assert_allclose(alone, drawn[0, : lengths[0]], atol=1e-5)
    pieces = np.concatenate(list(model.stream(length=22, seed=0)))
    np.testing.assert_allclose(pieces, alone, atol=1e-5)


@pytest.mark.parametrize("make", [recurrent, transformer])
def test_a_forecast_goes_on_right_after_its_context(make):
    # At temperature 0 a draw is a function of the context: the last whole frames of it.
    model = framed(make)
    model.engine.emission.category_head.dense.bias.assign([50.0, -50.0])  # never the end
    values = sounds().values[0]
    far = model.forecast(values, 6, 1, seed=0, temperature=0.0).samples
    near = model.forecast(values[1:], 6, 1, seed=0, temperature=0.0).samples
    assert far.shape == (1, 6, 1)
    np.testing.assert_allclose(far, near, atol=1e-5)
    first = model.forecast(values[:20], 6, 1, seed=0, temperature=0.0).samples
    assert np.abs(first - far).max() > 1e-5
    both = model.forecast([values, values[:20]], 6, 1, seed=0, temperature=0.0).samples
    np.testing.assert_allclose(both[:, 0], [far[0], first[0]], atol=1e-5)


def test_gaps_in_frames_are_filled():
    model = framed()
    series = sounds().values[0].copy()
    series[[2, 9, 20]] = np.nan
    filled = model.impute(series, num_samples=3, seed=0, particles=16)
    assert filled.shape == (3, 21, 1) and np.isfinite(filled).all()
    np.testing.assert_array_equal(filled[:, :2], np.stack([series[:2]] * 3))
    assert len(np.unique(filled[:, 2])) > 1


@pytest.mark.long
def test_learned_positions_are_counted_in_frames():
    model = framed(transformer, positions="learned", max_length=5)
    assert model.max_positions == 20
    assert len(model.generate(1, length=20, seed=0)[0]) <= 20
    assert "20 positions" in message(model.generate, 1, length=21)


def test_frames_are_for_series_and_one_number_over_time():
    drawings = processor(sequences(kind="strokes", ends=True))
    with pytest.raises(ValueError, match="frame must be 1, except.*Received: frame=4"):
        recurrent(processor=drawings, frame=4)


# Mistakes, arguments and configuration


@pytest.mark.long
def test_learned_positions_come_to_an_end():
    model = transformer(processor=processor(), positions="learned", max_length=20)
    assert model.generate(length=20, seed=1).shape == (1, 20, 2)
    series = sequences().values[0]
    assert "max_length" in message(model.generate, length=21)
    assert "length=23" in message(model.forecast, series[:20], 3)
    assert "length=40" in message(model.score, series)
    assert "context can have at most 17" in message(model.forecast, series[:20], 3)
    assert "horizon can be at most 19" in message(model.forecast, series[:5], 20)
    # A default is no more than there is room for: of the data's 40 positions.
    assert model.generate(seed=1).shape == (1, 20, 2)


def test_a_quantised_head_needs_bounded_numbers():
    with pytest.raises(ValueError, match="min_max or mu_law"):
        recurrent(processor=processor(), head="quantized")


def test_a_bivariate_mixture_is_for_two_numbers():
    with pytest.raises(ValueError, match="bivariate_mixture"):
        recurrent(processor=processor(sequences(3)), head="bivariate_mixture")
