"""What the heads have in common: start values, bounds, draws, configurations."""

import keras
import numpy as np
import pytest
import scipy.special
import scipy.stats
import tensorflow as tf

from tfgen import layers
from tfgen.layers.distribution_head import (
    BOUNDINGS,
    draw,
    inverse_softplus,
    observed_values,
    softplus,
    spread,
)
from tfgen.sampling import random

WIDTH = 5
# Of each head: arguments other than the defaults, which a round trip has to keep.
HEADS = {
    "gaussian": (layers.GaussianMixtureHead, {"features": 3, "components": 4}),
    "full": (
        layers.GaussianMixtureHead,
        {"features": 3, "components": 2, "covariance": "full"},
    ),
    "bivariate": (layers.BivariateMixtureHead, {"components": 3}),
    "student_t": (layers.StudentTHead, {"features": 3}),
    "regression": (layers.RegressionHead, {"features": 3}),
    "quantized": (layers.QuantizedHead, {"features": 2, "bins": 16}),
    "categorical": (layers.CategoricalHead, {"levels": [2, 5]}),
}
SOME_HEADS = [*HEADS][:3] + [pytest.param(name, marks=pytest.mark.long) for name in [*HEADS][3:]]
LOCATED = ["gaussian", "full", "bivariate", "student_t", "regression"]
CLIPS = ["hard", "straight_through", "inward"]
INF = float("inf")


def make(kind, seed=0, scale=0.5, **options):
    cls, arguments = HEADS[kind]
    kernel = keras.initializers.RandomNormal(stddev=scale, seed=seed)
    head = cls(**{**arguments, "kernel_initializer": kernel, **options})
    head.build((None, None, WIDTH))
    return head


def numbers(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).normal(size=shape).astype("float32")


def values_for(head, *shape, seed=1):
    if isinstance(head, layers.CategoricalHead):
        rng = np.random.default_rng(seed)
        columns = [rng.integers(0, number, shape) for number in head.levels]
        return np.stack(columns, axis=-1).astype("int32")
    return numbers(*shape, head.features, seed=seed)


def noise(head, rows, seed=0):
    key = random.root(seed, random.SAMPLING)
    uniform = random.uniform(random.fold(key, 1), [rows, head.uniforms])
    return uniform, random.normal(random.fold(key, 2), [rows, head.normals])


def sample(head, parameters, seed=0, **options):
    rows = next(iter(parameters.values())).shape[0]
    return head.sample(parameters, *noise(head, rows, seed), **options).numpy()


def location(parameters):
    return parameters["locations" if "locations" in parameters else "means"]


# All heads.


@pytest.mark.parametrize("name", SOME_HEADS)
def test_config_and_weights_survive_a_round_trip(name, tmp_path):
    options = {"name": "head", "dtype": "mixed_bfloat16"}
    if name in LOCATED:
        features = HEADS[name][1].get("features", 2)
        options |= {
            "low": [-1.0] + [-INF] * (features - 1),
            "high": np.full(features, 2.0),
            "bounding": "inward",
            "min_scale": 0.01,
        }
    head = make(name, **options)
    again = keras.layers.deserialize(keras.layers.serialize(head))
    assert type(again) is type(head) and again.get_config() == head.get_config()
    assert again.name == "head" and again.dtype_policy.name == "mixed_bfloat16"
    assert HEADS[name][1].items() <= again.get_config().items()
    for option in set(options) & {"low", "bounding", "min_scale"}:
        assert again.get_config()[option] == options[option]

    inputs = keras.Input((None, WIDTH))
    model = keras.Model(inputs, head(inputs))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    hidden = numbers(2, 3, WIDTH)
    expected, found = model(hidden), loaded(hidden)
    assert sorted(expected) == sorted(found)
    for key in expected:
        np.testing.assert_array_equal(expected[key], found[key])


@pytest.mark.parametrize("name", HEADS)
def test_weights_have_paths_that_can_be_read_and_stay_float32(name):
    head = make(name, dtype="mixed_bfloat16", name="head")
    paths = [weight.path for weight in head.weights]
    expected = ["head/parameters/kernel", "head/parameters/bias"]
    assert sorted(paths) == sorted(expected + ["head/scale"] * (name == "regression"))
    parameters = head(tf.cast(numbers(2, WIDTH), tf.bfloat16))
    assert {weight.dtype for weight in head.weights} == {"float32"}
    assert {tensor.dtype for tensor in parameters.values()} == {tf.float32}
    # The hidden state is taken as it is, not rounded to the policy's dtype.
    hidden = numbers(2, WIDTH)
    plain = make(name)
    for key, tensor in plain(hidden).items():
        np.testing.assert_array_equal(tensor, head(hidden)[key])


@pytest.mark.parametrize("name", HEADS)
def test_default_kernels_break_symmetry_and_start_near_the_data(name):
    cls, arguments = HEADS[name]
    keras.utils.set_random_seed(0)
    head = cls(**arguments)
    head.build((None, None, 64))
    kernel = head.dense.kernel.numpy()
    assert 0.5 < kernel.var() * 64 / 0.1 < 1.5
    assert len(np.unique(kernel, axis=1).T) == kernel.shape[1]
    parameters = {key: tensor.numpy() for key, tensor in head(np.zeros((1, 64))).items()}
    if name in LOCATED:
        np.testing.assert_allclose(parameters["scales"], 1, rtol=1e-5)
        assert np.abs(location(parameters)).max() < 1.5
        np.testing.assert_allclose(head.mean(parameters), np.zeros((1, head.features)), atol=1e-5)
    if "logits" in parameters:
        assert (parameters["logits"] == 0).all()


@pytest.mark.parametrize("name", HEADS)
def test_kernel_initializer_is_that_of_the_product(name):
    head = make(name, kernel_initializer="ones")
    assert (head.dense.kernel.numpy() == 1).all()


@pytest.mark.parametrize("name", SOME_HEADS)
def test_every_weight_has_a_gradient_and_training_raises_the_likelihood(name):
    head = make(name)
    hidden, values = numbers(4, 6, WIDTH), values_for(head, 4, 6)
    optimizer = keras.optimizers.Adam(0.05)

    @tf.function(autograph=False)
    def step():
        with tf.GradientTape() as tape:
            loss = -tf.reduce_mean(head.log_prob(head(hidden, training=True), values))
        return loss, tape.gradient(loss, [weight.value for weight in head.trainable_variables])

    first, gradients = step()
    assert len(gradients) == len(head.weights)
    for gradient in gradients:
        assert np.isfinite(gradient).all() and (np.abs(gradient) > 0).mean() > 0.9
    for _ in range(30):
        _, gradients = step()
        optimizer.apply(gradients, head.trainable_variables)
    assert float(step()[0]) < float(first) - 0.05


@pytest.mark.parametrize("name", SOME_HEADS)
def test_what_is_missing_says_nothing_and_has_no_gradient(name):
    head = make(name)
    hidden, values = numbers(3, 4, WIDTH), values_for(head, 3, 4)
    missing = np.random.default_rng(2).random(values.shape) < 0.4
    missing[0, 0] = True  # a whole position, as padding is
    missing[0, 1] = False
    holes = values.copy()
    holes[missing] = -1 if values.dtype == np.int32 else np.nan
    wild = values.copy()
    wild[missing] = 1 if values.dtype == np.int32 else 1e30

    def run(values, observed=None):
        values = tf.constant(values)
        with tf.GradientTape() as tape:
            tape.watch(values)
            log_probs = head.log_prob(head(hidden), values, observed)
        sources = [weight.value for weight in head.trainable_variables]
        gradients = tape.gradient(log_probs, [*sources, values])
        return log_probs.numpy(), [np.array(g) for g in gradients if g is not None]

    log_probs, gradients = run(holes)
    assert log_probs.shape == (3, 4) and np.isfinite(log_probs).all() and log_probs[0, 0] == 0
    assert all(np.isfinite(gradient).all() for gradient in gradients)
    if name not in ("categorical", "quantized"):  # whose densities have no slope
        assert (gradients[-1][missing] == 0).all() and (gradients[-1][~missing] != 0).mean() > 0.4
    for other, mask in ((wild, ~missing), (holes, np.ones_like(missing)), (holes, ~missing)):
        same, slopes = run(other, tf.constant(mask))
        np.testing.assert_array_equal(same, log_probs)
        for slope, gradient in zip(slopes, gradients, strict=True):
            np.testing.assert_array_equal(slope, gradient)
    complete, _ = run(values)
    np.testing.assert_allclose(complete[0, 1], log_probs[0, 1], rtol=1e-5)
    assert (complete != log_probs)[missing.any(axis=-1)].all()
    nothing, slopes = run(values, tf.zeros(values.shape, tf.bool))
    assert (nothing == 0).all() and all((slope == 0).all() for slope in slopes)


@pytest.mark.parametrize("name", sorted(set(HEADS) - {"categorical"}))
@pytest.mark.parametrize("scale", [1.0, 1e4])
def test_extreme_values_have_finite_gradients(name, scale):
    head = make(name, scale=scale)
    hidden = numbers(4, WIDTH)
    for size in (1e-30, 1e4, 1e8, 1e30, INF):
        values = values_for(head, 4)
        values[1:] = np.sign(values[1:]) * np.float32(size)
        with tf.GradientTape() as tape:
            log_probs = head.log_prob(head(hidden), values)
        gradients = tape.gradient(log_probs, [w.value for w in head.trainable_variables])
        assert np.isfinite(log_probs).all(), size
        assert all(np.isfinite(gradient).all() for gradient in gradients), size


@pytest.mark.long
@pytest.mark.parametrize("name", HEADS)
def test_samples_are_the_same_in_an_xla_loop_and_do_not_depend_on_the_batch(name):
    head = make(name)
    hidden = numbers(8, WIDTH)
    uniform, normal = noise(head, 3 * 8)
    uniform = tf.reshape(uniform, [3, 8, head.uniforms])
    normal = tf.reshape(normal, [3, 8, head.normals])

    def one(step, rows, temperature):
        hidden_now = hidden[:rows] * tf.cast(step + 1, tf.float32)
        return head.sample(
            head(hidden_now),
            tf.gather(uniform, step)[:rows],
            tf.gather(normal, step)[:rows],
            temperature,
            0.5,
        )

    @tf.function(jit_compile=True, autograph=False)
    def loop(temperature):
        first = one(0, 8, temperature)
        drawn = tf.zeros([3, *first.shape], first.dtype)

        def body(step, drawn):
            row = one(step, 8, temperature)[None]
            return step + 1, tf.tensor_scatter_nd_update(drawn, [[step]], row)

        return tf.while_loop(lambda step, _: step < 3, body, [0, drawn])[1]

    for temperature in (0.7, 0.0):
        drawn = loop(tf.constant(temperature)).numpy()
        by_hand = [one(step, 8, temperature) for step in range(3)]
        np.testing.assert_allclose(drawn, by_hand, rtol=2e-5, atol=2e-5)
        single = [one(step, 1, temperature) for step in range(3)]
        np.testing.assert_allclose(drawn[:, :1], single, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("name", HEADS)
def test_at_temperature_0_the_noise_does_not_matter(name):
    head = make(name, scale=2.0)
    parameters = head(numbers(50, WIDTH))
    coldest = sample(head, parameters, temperature=0.0)
    assert np.isfinite(coldest).all()
    np.testing.assert_array_equal(coldest, sample(head, parameters, seed=1, temperature=0))
    np.testing.assert_allclose(
        coldest, sample(head, parameters, seed=2, temperature=1e-16), atol=1e-4
    )
    assert (coldest != sample(head, parameters)).any()
    biased = sample(head, parameters, temperature=0.0, bias=3.0)
    np.testing.assert_array_equal(biased, coldest)


# Bounds.


def swept(head):
    """Raw locations from far below the bounds to far above, and what becomes of them."""
    raw = np.linspace(-300, 300, 601, dtype="float32")[:, None] * np.ones(head.features, "float32")
    return raw, head.locations(tf.constant(raw)).numpy()


@pytest.mark.parametrize("name", LOCATED)
@pytest.mark.parametrize("bounding", BOUNDINGS)
def test_locations_keep_the_bounds_that_there_are(name, bounding):
    features = 2
    arguments = {} if name == "bivariate" else {"features": 2}
    head = make(
        name, scale=50.0, low=[-0.5, -INF], high=[0.25, 0.75], bounding=bounding, **arguments
    )
    free = make(name, scale=50.0, **arguments)
    # The start values differ, so only the kernels count.
    for one in (head, free):
        one.dense.bias.assign(np.zeros(one.dense.bias.shape))
    hidden = numbers(40, WIDTH)
    found, wanted = location(head(hidden)).numpy(), location(free(hidden)).numpy()
    assert found.shape[-1] == features
    if bounding == "none":
        np.testing.assert_array_equal(found, wanted)
        return
    low, high = np.array([-0.5, -INF]), np.array([0.25, 0.75])
    assert (found >= low).all() and (found <= high).all()
    if bounding == "squash":
        # high - softplus(-raw) where there is an upper bound alone.
        share = scipy.special.expit(wanted[..., 0])
        np.testing.assert_allclose(found[..., 0], -0.5 + 0.75 * share, atol=1e-6)
        expected = 0.75 - np.logaddexp(0, -wanted[..., 1].astype("float64"))
        np.testing.assert_allclose(found[..., 1], expected, rtol=1e-5, atol=1e-5)
    else:
        np.testing.assert_array_equal(found, np.clip(wanted, low, high).astype("float32"))
    mean = head.mean(head(hidden)).numpy()
    assert (mean >= low - 1e-5).all() and (mean <= high + 1e-5).all()


def test_a_feature_without_bounds_is_left_as_it_is():
    for bounding in BOUNDINGS:
        head = make("student_t", low=[-INF, 0.0, -INF], high=None, bounding=bounding)
        raw, found = swept(head)
        np.testing.assert_array_equal(found[:, [0, 2]], raw[:, [0, 2]])
        assert (found[:, 1].min() < 0) == (bounding == "none")
    squashed = make("student_t", low=[0, 1, 2], bounding="squash")
    raw, found = swept(squashed)
    np.testing.assert_allclose(found, np.logaddexp(0, raw) + [0, 1, 2], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("bounding", [*CLIPS, "squash"])
def test_the_gradient_outside_is_that_of_the_bounding(bounding):
    head = make("regression", low=[0, 0, 0], high=[1, 1, 1], bounding=bounding)
    raw = tf.constant([[-2.0, 0.5, 3.0]])
    for sign in (1.0, -1.0):
        with tf.GradientTape() as tape:
            tape.watch(raw)
            total = sign * tf.reduce_sum(head.locations(raw))
        slope = sign * scipy.special.expit(raw) * scipy.special.expit(-raw)
        expected = {
            "hard": [[0, sign, 0]],
            "straight_through": [[sign] * 3],
            "inward": [[-1, -1, 0]] if sign < 0 else [[0, 1, 1]],
            "squash": slope,
        }[bounding]
        np.testing.assert_allclose(tape.gradient(total, raw), expected, rtol=1e-5)


@pytest.mark.parametrize(
    "name, bounding", [*((name, "inward") for name in LOCATED), *(("full", kind) for kind in CLIPS)]
)
def test_the_clip_tracker_counts_in_training(name, bounding):
    features = HEADS[name][1].get("features", 2)
    head = make(name, scale=1.0, low=[-0.1] * features, high=[0.2] * features, bounding=bounding)
    hidden = numbers(20, WIDTH)
    raw = head.raw(hidden)["locations" if name == "student_t" else "means"].numpy()
    outside = np.mean((raw < -0.1) | (raw > 0.2))
    head(hidden)
    assert np.isnan(head.clip.clip_tracker.result())
    head(hidden, training=True)
    np.testing.assert_allclose(head.clip.clip_tracker.result(), outside, rtol=1e-5)
    assert 0.1 < outside < 1
    # Where Keras and the dashboard look for it.
    assert any(layer is head.clip for layer in head._flatten_layers())


@pytest.mark.parametrize(
    "options",
    [{}, {"bounding": "hard"}, {"bounding": "hard", "low": [-INF] * 3}, {"low": [0] * 3},
     {"low": [0.0] * 3, "bounding": "squash"}],
)  # fmt: skip
def test_there_is_a_clip_layer_only_where_something_is_clipped(options):
    assert make("student_t", **options).clip is None


@pytest.mark.parametrize("name", LOCATED)
@pytest.mark.parametrize(
    "bounding, low, high",
    [("hard", -0.2, 0.1), ("squash", -0.2, 0.1), ("inward", 2.0, INF), ("squash", -INF, -3.0),
     ("squash", 5.0, 5.001)],
)  # fmt: skip
def test_locations_start_inside_their_bounds(name, bounding, low, high):
    features = HEADS[name][1].get("features", 2)
    head = make(name, low=[low] * features, high=[high] * features, bounding=bounding)
    found = location(head(np.zeros((1, WIDTH)))).numpy()
    assert (found > low).all() and (found < high).all()
    unbounded = location(make(name)(np.zeros((1, WIDTH)))).numpy()
    margin = min(0.1, (high - low) / 10)
    np.testing.assert_allclose(
        found, np.clip(unbounded, low + margin, high - margin), rtol=1e-5, atol=1e-5
    )


def test_min_scale_is_the_least_scale():
    for name in LOCATED:
        head = make(name, min_scale=0.25)
        small = head.scales(tf.constant([-1e4, -100.0, 0.0]))
        np.testing.assert_allclose(small, [0.25, 0.25, 0.25 + np.log(2)], rtol=1e-6)
        assert float(make(name).scales(tf.constant(-100.0))) == pytest.approx(1e-3)


# Functions.


def test_spread_lies_about_0_and_differs_from_feature_to_feature():
    means = spread(7, 3)
    np.testing.assert_allclose(means.mean(axis=0), 0, atol=1e-12)
    quantiles = 0.5 * scipy.stats.norm.ppf((np.arange(7) + 0.5) / 7)
    np.testing.assert_allclose(np.sort(means, axis=0), quantiles[:, None] * np.ones(3), atol=0.04)
    assert len(np.unique(np.argsort(means, axis=0), axis=1).T) == 3
    np.testing.assert_array_equal(means, spread(7, 3))
    assert (spread(1, 2) == 0).all()


def test_softplus_and_its_inverse():
    raw = tf.constant([-INF, -200.0, -5.0, -1e-3, 0.0, 0.5, 30.0, 1e30])
    with tf.GradientTape() as tape:
        tape.watch(raw)
        value = softplus(raw)
    np.testing.assert_allclose(value, np.logaddexp(0, raw), rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(tape.gradient(value, raw), scipy.special.expit(raw), rtol=1e-5)
    np.testing.assert_allclose(inverse_softplus(np.logaddexp(0, raw[2:-1])), raw[2:-1], rtol=1e-4)


def test_observed_values_are_finite():
    values, there = observed_values([[np.nan, 1.0, INF]], tf.constant([[True, True, False]]))
    np.testing.assert_array_equal(there, [[False, True, False]])
    assert np.isfinite(values).all() and float(values[0, 1]) == 1


def test_draw_inverts_the_distribution_function():
    logits = tf.constant(np.log([[0.1, 0.6, 0.3]]), tf.float32)
    uniform = np.array([1e-7, 0.0999, 0.1001, 0.6999, 0.7001, 1 - 2**-24], "float32")
    drawn = draw(tf.repeat(logits, 6, axis=0), uniform)
    np.testing.assert_array_equal(drawn, [0, 0, 1, 1, 2, 2])
    # (0.1, 0.6, 0.3) ** 2 / 0.46
    drawn = draw(tf.repeat(logits, 4, axis=0), [0.021, 0.022, 0.803, 0.805], temperature=0.5)
    np.testing.assert_array_equal(drawn, [0, 1, 1, 2])
    drawn = draw(tf.repeat(logits, 4, axis=0), [0.021, 0.022, 0.803, 0.805], bias=1.0)
    np.testing.assert_array_equal(drawn, [0, 1, 1, 2])
    flat = draw(tf.repeat(logits, 2, axis=0), [0.3332, 0.3334], temperature=1e6)
    np.testing.assert_array_equal(flat, [0, 1])


@pytest.mark.parametrize("temperature", [0.0, 1e-37, 1e-30, 1.0])
def test_draw_never_takes_what_is_impossible(temperature):
    logits = tf.constant([[-INF, 1e4, -1e4, 1e4, -INF]])
    uniform = tf.constant([1e-7, 0.25, 0.49, 0.51, 1 - 2**-24])
    drawn = draw(tf.repeat(logits, 5, axis=0), uniform, temperature, bias=20.0)
    np.testing.assert_array_equal(drawn, [1] * 5 if temperature == 0 else [1, 1, 1, 3, 3])


@pytest.mark.parametrize(
    "cls, arguments, received",
    [
        ("StudentTHead", {"features": 0}, "features=0"),
        ("StudentTHead", {"features": 2.0}, "features=2.0"),
        ("StudentTHead", {"bounding": "soft"}, "bounding='soft'"),
        ("StudentTHead", {"min_scale": 0}, "min_scale=0"),
        ("StudentTHead", {"low": [1.0]}, "low=[1.0]"),
        ("StudentTHead", {"low": 1.0}, "low=1.0"),
        ("StudentTHead", {"high": ["a", "b"]}, "high=['a', 'b']"),
        ("StudentTHead", {"high": [1.0, float("nan")]}, "high=[1.0, nan]"),
        ("StudentTHead", {"low": [0, 1], "high": [1, 1]}, "low=[0, 1]"),
        ("GaussianMixtureHead", {"components": 0}, "components=0"),
        ("GaussianMixtureHead", {"covariance": "lower"}, "covariance='lower'"),
        ("BivariateMixtureHead", {"features": 3}, "features=3"),
        ("BivariateMixtureHead", {"components": True}, "components=True"),
        ("QuantizedHead", {"bins": 1}, "bins=1"),
        ("CategoricalHead", {"levels": []}, "levels=[]"),
        ("CategoricalHead", {"levels": [2, 0]}, "levels=[2, 0]"),
        ("CategoricalHead", {"levels": 2}, "levels=2"),
    ],
)
def test_what_is_out_of_range_is_told_in_one_line(cls, arguments, received):
    base = {} if cls == "CategoricalHead" else {"features": 2}
    with pytest.raises(ValueError) as caught:
        getattr(layers, cls)(**{**base, **arguments})
    assert str(caught.value).endswith(f"Received: {received}")
    assert "\n" not in str(caught.value)
