"""`UNet1D`: padding, noise levels, conditions, graphs, and published networks of its size."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfgen.layers.linear_attention_1d import LinearAttention1D
from tfgen.layers.self_attention_1d import SelfAttention1D
from tfgen.layers.unet1d import UNet1D

WITHOUT = {"linear_attention": False, "attention_at": ()}
SMALL = {
    "width": 8,
    "multipliers": (1, 2, 2),
    "blocks": 1,
    "heads": 2,
    "head_width": 4,
    "groups": 4,
}
CHANNELS = 3
RNG = np.random.default_rng(0)
X = RNG.normal(size=(2, 13, CHANNELS)).astype("float32")
C_NOISE = np.array([-0.5, 0.8], "float32")
VECTORS = RNG.normal(size=(2, 5)).astype("float32")
SEQUENCE = RNG.normal(size=(2, 13, 2)).astype("float32")
EVERYTHING = {"condition_width": 5, "sequence_width": 2, "self_condition": True}


def make(**options):
    network = UNet1D(CHANNELS, **{**SMALL, "seed": 1, **options})
    network.build((None, None, CHANNELS))
    return stirred(network)


def stirred(network):
    """Every zero that it begins with is another number."""
    rng = np.random.default_rng(2)
    for weight in network.trainable_weights:
        weight.assign_add(0.1 * rng.normal(size=weight.shape))
    return network


@pytest.fixture(scope="module")
def network():
    return make(**EVERYTHING)


@pytest.fixture(scope="module")
def shallow():
    """One level less: for what every level does alike."""
    return make(**EVERYTHING, multipliers=(1, 2))


def difference(a, b):
    return np.abs(np.asarray(a) - np.asarray(b)).max()


def padded(x, time):
    """What stands behind the sequence is NaN: it must not be read."""
    rest = [[0, 0]] * (np.ndim(x) - 2)
    return np.pad(x, [[0, 0], [0, time - x.shape[1]], *rest], constant_values=np.nan)


# Padding


@pytest.mark.parametrize("levels", ["of a row", "of a position"])
def test_outputs_do_not_depend_on_what_padding_follows(network, levels):
    c_noise = C_NOISE
    if levels == "of a position":
        c_noise = RNG.normal(size=(2, 13)).astype("float32")
    given = {"condition": VECTORS, "sequence": SEQUENCE, "self_condition": X[..., ::-1]}
    alone = network(X, c_noise, **given).numpy()
    assert np.abs(alone).max() > 0.3 and alone.shape == X.shape
    for time in (14, 32):
        mask = np.broadcast_to(np.arange(time) < 13, (2, time))
        wide = {name: padded(x, time) if x.ndim == 3 else x for name, x in given.items()}
        noise = padded(c_noise, time) if c_noise.ndim == 2 else c_noise
        outputs = network(padded(X, time), noise, mask=mask, **wide).numpy()
        np.testing.assert_allclose(outputs[:, :13], alone, atol=3e-6)
        assert (outputs[:, 13:] == 0).all()


@pytest.mark.parametrize("time", [6, pytest.param(1, marks=pytest.mark.long)])
def test_any_length_and_rows_of_different_lengths(shallow, time):
    mask = np.arange(13) < np.array([[time], [13]])
    outputs = shallow(np.where(mask[..., None], X, 1e9), C_NOISE, mask=mask)
    np.testing.assert_allclose(outputs[0, :time], shallow(X[:1, :time], C_NOISE[:1])[0], atol=3e-6)
    np.testing.assert_allclose(outputs[1], shallow(X, C_NOISE)[1], atol=3e-6)


def test_without_padding_no_mask_is_a_mask_of_all(network):
    x = X[:, :12]
    everything = network(x, C_NOISE, mask=np.ones((2, 12), bool))
    np.testing.assert_allclose(network(x, C_NOISE), everything, atol=2e-6)


def test_a_row_does_not_see_the_others(shallow):
    np.testing.assert_allclose(shallow(X, C_NOISE)[:1], shallow(X[:1], C_NOISE[:1]), atol=2e-6)


# Noise levels


@pytest.mark.long
def test_one_level_at_every_position_is_the_level_of_the_row(shallow):
    everywhere = np.repeat(C_NOISE[:, None], 13, axis=1)
    one = shallow(X, C_NOISE)
    np.testing.assert_allclose(shallow(X, everywhere), one, atol=3e-6)
    changed = everywhere.copy()
    changed[0, 4] += 1
    assert difference(shallow(X, changed)[0], one[0]) > 1e-3
    np.testing.assert_allclose(shallow(X, changed)[1], one[1], atol=3e-6)
    assert difference(shallow(X, C_NOISE + 0.1), one) > 1e-3


def test_a_level_of_a_position_is_told_to_that_position():
    network = make(multipliers=(1,), groups=8, heads=4, head_width=32, **WITHOUT)
    everywhere = np.zeros((1, 64), "float32")
    x = RNG.normal(size=(1, 64, CHANNELS)).astype("float32")
    changed = everywhere.copy()
    changed[0, 32] = 1
    moved = np.abs(network(x, changed) - network(x, everywhere)).max(axis=(0, 2))
    # A norm over the positions tells all of them a little; near the change it is much more.
    assert moved[31:34].min() > 5 * np.median(moved)


# Conditions


@pytest.mark.long
def test_conditions_change_the_outputs_and_none_is_zeros(shallow):
    plain = shallow(X, C_NOISE).numpy()
    for name, given in {
        "condition": VECTORS, "sequence": SEQUENCE, "self_condition": X,
    }.items():  # fmt: skip
        assert difference(shallow(X, C_NOISE, **{name: given}), plain) > 1e-2
        zeros = shallow(X, C_NOISE, **{name: np.zeros_like(given)})
        np.testing.assert_array_equal(zeros, plain)
    everywhere = np.repeat(C_NOISE[:, None], 13, axis=1)
    np.testing.assert_allclose(
        shallow(X, everywhere, condition=VECTORS), shallow(X, C_NOISE, condition=VECTORS), atol=3e-6
    )


def test_what_it_was_not_made_for_is_refused(network):
    plain = UNet1D(CHANNELS, **SMALL)
    for name, given in {
        "condition": VECTORS, "sequence": SEQUENCE, "self_condition": X,
    }.items():  # fmt: skip
        with pytest.raises(ValueError, match=f"{name} must have 0 channels. Received: {name}="):
            plain(X, C_NOISE, **{name: given})
        with pytest.raises(ValueError, match=f"{name} must have . channels. Received: {name}="):
            network(X, C_NOISE, **{name: given[..., :1]})


# What is made


def test_the_scale_of_a_fourier_embedding_changes_the_outputs():
    first, again, other = (
        make(multipliers=(1, 2), embedding="fourier", embedding_scale=scale)(X, C_NOISE)
        for scale in (16.0, 16.0, 1.0)
    )
    np.testing.assert_array_equal(first, again)  # two builds are equal
    assert first.shape == X.shape and difference(first, other) > 1e-3


def test_which_levels_have_which_attention():
    def kinds(**options):
        parts = UNet1D(CHANNELS, **{**SMALL, **options}).parts
        return {name: type(part) for name, part in parts.items() if "attention" in name}

    names = [f"{way}_{level}_attention" for level in range(3) for way in ("down", "up")]
    expected = dict.fromkeys(names, LinearAttention1D)
    expected["middle_attention"] = SelfAttention1D
    assert kinds() == expected
    assert kinds(linear_attention=False) == {"middle_attention": SelfAttention1D}
    full = {"down_1_attention": SelfAttention1D, "up_1_attention": SelfAttention1D}
    assert kinds(attention_at=[1], linear_attention=False) == full
    assert kinds(attention_at=[1]) == {
        **expected, **full, "middle_attention": LinearAttention1D,
    }  # fmt: skip
    assert kinds(heads=4, head_width=32, **WITHOUT) == {}


def test_other_channels_come_out_and_zeros_at_first():
    network = UNet1D(4, **SMALL, seed=1)
    outputs = network(X, C_NOISE)
    assert outputs.shape == (2, 13, 4) == network.compute_output_shape(X.shape)
    assert (outputs.numpy() == 0).all()


@pytest.mark.long
def test_every_weight_gets_a_gradient_and_the_inputs_a_second_one(network):
    x = tf.constant(X)
    given = {"condition": VECTORS, "sequence": SEQUENCE, "self_condition": X[..., ::-1]}
    with tf.GradientTape() as outer:
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = tf.reduce_sum(network(x, C_NOISE, **given) ** 2)
        slope = tape.gradient(loss, x)
        energy = tf.reduce_sum(slope**2)
    for weight, gradient in zip(
        network.trainable_weights, outer.gradient(energy, network.trainable_weights)
    ):
        # What is added to the outputs alone has a slope that knows nothing of it, but squared.
        assert np.isfinite(gradient).all() and np.abs(gradient).max() > 1e-7, weight.path


def test_drop_is_told_the_number_of_the_block(network):
    seen = {}

    def drop(tensor, site):
        assert site not in seen
        seen[site] = tensor.shape[1:]
        return tensor * 0.5 if site == 2 else tensor

    dropped = network(X, C_NOISE, drop=drop)
    assert sorted(seen) == list(range(len(network.sites))) == list(range(9))
    assert seen[network.sites.index("middle_block_0")] == (4, 16)
    assert difference(dropped, network(X, C_NOISE)) > 1e-4


def test_activations_are_recorded(network):
    activations = {}
    outputs = network(X, C_NOISE, record=activations.__setitem__)
    np.testing.assert_array_equal(outputs, network(X, C_NOISE))
    shapes = {name: tuple(tensor.shape[1:]) for name, tensor in activations.items()}
    assert shapes["down_0_block_0"] == shapes["up_0_block_0"] == (16, 8)
    assert shapes["down_1_attention"] == (8, 8) and shapes["up_1_attention"] == (8, 16)
    assert shapes["middle_block_1"] == (4, 16) and shapes["last_block"] == (16, 8)
    assert set(network.sites) <= set(shapes)


# The graph


@pytest.mark.long
@pytest.mark.parametrize("jit_compile", [False, True])
def test_a_graph_of_any_time_equals_eager(jit_compile):
    network = make(multipliers=(1, 2))

    def call(x, c_noise, mask):
        return network(x, c_noise, mask=mask)

    signature = [
        tf.TensorSpec((None, None, CHANNELS)),
        tf.TensorSpec((None,)),
        tf.TensorSpec((None, None), tf.bool),
    ]
    mask = np.arange(13) < np.array([[5], [13]])
    graph = tf.function(call, signature, jit_compile=jit_compile, autograph=False)
    expected = network(X, C_NOISE, mask=mask)
    np.testing.assert_allclose(graph(X, C_NOISE, mask), expected, atol=5e-6)
    np.testing.assert_allclose(
        graph(X[:, :6], C_NOISE, mask[:, :6]),
        network(X[:, :6], C_NOISE, mask=mask[:, :6]),
        atol=5e-6,
    )
    assert graph.experimental_get_tracing_count() == 1


@pytest.mark.long
def test_xla_with_a_static_time_and_levels_of_positions():
    network = make(multipliers=(1, 2))
    everywhere = RNG.normal(size=(2, 13)).astype("float32")
    compiled = tf.function(network, jit_compile=True, autograph=False)
    np.testing.assert_allclose(compiled(X, everywhere), network(X, everywhere), atol=5e-6)


# Saving


def test_config_and_weights_round_trip(network, tmp_path):
    again = keras.layers.deserialize(keras.layers.serialize(network))
    assert again.get_config() == network.get_config()
    assert again.built
    assert [w.path for w in again.weights] == [w.path for w in network.weights]

    def model(layer):
        inputs = [keras.Input((None, CHANNELS)), keras.Input(())]
        return keras.Model(inputs, layer(*inputs))

    model(network).save_weights(tmp_path / "network.weights.h5")
    model(again).load_weights(tmp_path / "network.weights.h5")
    np.testing.assert_array_equal(again(X, C_NOISE), network(X, C_NOISE))


@pytest.mark.long
def test_half_precision_is_near_and_gives_single():
    network, half = (make(multipliers=(1, 2), dtype=d) for d in ("float32", "mixed_bfloat16"))
    outputs = half(X, C_NOISE)
    assert outputs.dtype == tf.float32
    assert 1e-5 < difference(outputs, network(X, C_NOISE)) < 0.1


@pytest.mark.parametrize(
    "arguments",
    [
        {"channels_out": 0}, {"width": 12}, {"width": 9, "groups": 3}, {"width": 0},
        {"multipliers": ()}, {"multipliers": (1, 0)}, {"multipliers": 2}, {"blocks": 0},
        {"attention_at": (4,)}, {"attention_at": (-1,)}, {"attention_at": 3},
        {"linear_attention": 1}, {"heads": 0}, {"head_width": 0}, {"embedding": "none"},
        {"heads": 2, **WITHOUT}, {"head_width": 8, **WITHOUT},  # there is none
        {"embedding_scale": -1}, {"condition_width": -1}, {"sequence_width": 1.0},
        {"self_condition": None}, {"seed": "x"}, {"groups": 0},
    ],
    ids=str,
)  # fmt: skip
def test_what_is_out_of_range_is_told_in_one_line(arguments):
    name, value = next(iter(arguments.items()))
    with pytest.raises(ValueError) as caught:
        UNet1D(**{"channels_out": 2, "width": 8, "multipliers": (1, 2, 2), **arguments})
    assert str(caught.value).endswith(f"Received: {name}={value!r}")
    assert "\n" not in str(caught.value)


# The published networks


@pytest.mark.parametrize("multipliers", [(1, 2, 4, 8), (1, 2, 4)])
def test_as_many_parameters_as_the_network_of_lucidrains(multipliers):
    module = "denoising_diffusion_pytorch.denoising_diffusion_pytorch_1d"
    published = pytest.importorskip(module, exc_type=ImportError)
    torch = pytest.importorskip("torch")
    peer = published.Unet1D(32, dim_mults=multipliers, channels=6, self_condition=True)
    network = UNet1D(6, width=32, multipliers=multipliers, self_condition=True)
    network.build((None, None, 6))
    count = sum(parameter.numel() for parameter in peer.parameters())
    assert network.count_params() == pytest.approx(count, rel=0.005)
    shape = peer(torch.zeros(2, 6, 32), torch.zeros(2)).shape
    assert tuple(shape) == (2, 6, 32)
    assert network(np.zeros((2, 32, 6), "float32"), np.zeros(2, "float32")).shape == (2, 32, 6)


@pytest.mark.long
def test_the_parameters_of_the_default_levels():
    # lucidrains' `Unet1D(32, channels=6)` of version 2.3.4 has 3,977,158.
    network = UNet1D(6, width=32)
    network.build((None, None, 6))
    assert network.count_params() == 3_982_342
