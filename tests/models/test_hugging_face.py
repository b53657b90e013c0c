"""Models of Hugging Face folders: the logits of transformers on the same files are the oracle."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tfgen import cli, models
from tfgen.errors import InputError
from tfgen.preprocessing import ByteTokenizer, HuggingFaceTokenizer
from tfgen.zoo import describe, find, get, load_gpt2, load_llama

safetensors = pytest.importorskip("safetensors", reason="pip install .[hf]")
tokenizers = pytest.importorskip("tokenizers", reason="pip install .[hf]")

ROOT = Path(__file__).parents[2]
END = "<|endoftext|>"
VOCABULARY = 262
PROMPT = "to be, or not to be"

GPT2 = {
    "vocab_size": VOCABULARY, "n_embd": 12, "n_layer": 2, "n_head": 3, "n_positions": 40,
    "bos_token_id": 0, "eos_token_id": 0,
}  # fmt: skip
LLAMA = {
    "vocab_size": VOCABULARY, "hidden_size": 12, "intermediate_size": 20, "num_hidden_layers": 2,
    "num_attention_heads": 6, "head_dim": 4, "num_key_value_heads": 2, "bos_token_id": 0,
    "eos_token_id": [0],
}  # fmt: skip


def write_tokenizer(folder):
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[END],
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([PROMPT] * 5, trainer)
    tokenizer.save(str(folder / "tokenizer.json"))


def write_model(kind, folder, dtype="float32", shard=None, **changes):
    """Writes a small random model as transformers does; returns it, read back in float32."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    if kind == "gpt2":
        config = transformers.GPT2Config(**{**GPT2, **changes})
        model = transformers.GPT2LMHeadModel(config)
    else:
        name = {"llama": "Llama", "mistral": "Mistral", "qwen2": "Qwen2"}[kind]
        config = getattr(transformers, f"{name}Config")(**{**LLAMA, **changes})
        model = getattr(transformers, f"{name}ForCausalLM")(config)
    with torch.no_grad():
        for parameter in model.parameters():  # biases and gains too must matter
            parameter.add_(torch.randn_like(parameter) * 0.3)
    options = {} if shard is None else {"max_shard_size": shard}
    model.to(getattr(torch, dtype)).save_pretrained(folder, safe_serialization=True, **options)
    write_tokenizer(folder)
    return type(model).from_pretrained(folder, dtype=torch.float32).eval()


def oracle_logits(model, ids):
    import torch

    with torch.no_grad():
        return model(torch.tensor(ids)).logits.numpy()


def change_config(folder, **changes):
    path = folder / "config.json"
    values = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({key: value for key, value in values.items() if value != "DROP"}))


IDS = np.random.default_rng(0).integers(VOCABULARY, size=[2, 11])
LOADERS = {"gpt2": load_gpt2, "llama": load_llama}
LLAMA_3 = {
    "rope_type": "llama3", "rope_theta": 30.0, "factor": 8.0, "low_freq_factor": 1.0,
    "high_freq_factor": 4.0, "original_max_position_embeddings": 64,
}  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("gpt2", {}),
        pytest.param(
            "gpt2",
            {"tie_word_embeddings": False, "n_inner": 20, "layer_norm_epsilon": 0.1},
            marks=pytest.mark.long,
        ),
        pytest.param(
            "gpt2",
            {"dtype": "float16", "activation_function": "gelu_pytorch_tanh"},
            marks=pytest.mark.long,
        ),
        pytest.param("gpt2", {"dtype": "bfloat16", "shard": "10KB"}, marks=pytest.mark.long),
        ("llama", {}),
        pytest.param(
            "llama",
            {"tie_word_embeddings": True, "num_key_value_heads": 6, "rms_norm_eps": 0.1},
            marks=pytest.mark.long,
        ),
        pytest.param(
            "llama",
            {"attention_bias": True, "mlp_bias": True, "head_dim": None},
            marks=pytest.mark.long,
        ),
        ("llama", {"dtype": "bfloat16", "num_key_value_heads": 1}),
        pytest.param(
            "llama",
            {"rope_parameters": {"rope_type": "default", "rope_theta": 50.0}},
            marks=pytest.mark.long,
        ),
        pytest.param("llama", {"shard": "10KB"}, marks=pytest.mark.long),
        pytest.param("llama", {"attention_bias": True}, marks=pytest.mark.long),
        pytest.param("llama", {"mlp_bias": True}, marks=pytest.mark.long),
        pytest.param(
            "llama",
            {"rope_parameters": {"rope_type": "linear", "rope_theta": 50.0, "factor": 4.0}},
            marks=pytest.mark.long,
        ),
        ("llama", {"rope_parameters": LLAMA_3, "head_dim": 8}),
        pytest.param("mistral", {"sliding_window": None}, marks=pytest.mark.long),
        ("mistral", {"sliding_window": 4, "head_dim": 8}),
        ("qwen2", {"head_dim": 2}),
        pytest.param(
            "qwen2",
            {"tie_word_embeddings": True, "head_dim": 2, "dtype": "bfloat16"},
            marks=pytest.mark.long,
        ),
    ],
)
def test_the_logits_are_those_of_transformers(kind, options, tmp_path):
    expected = oracle_logits(write_model(kind, tmp_path, **options), IDS)
    assert bool(list(tmp_path.glob("*.index.json"))) == ("shard" in options)
    model = LOADERS.get(kind, load_llama)(tmp_path)
    assert {weight.dtype for weight in model.weights} == {"float32"}
    np.testing.assert_allclose(model(IDS), expected, rtol=1e-4, atol=1e-4)
    assert np.std(expected) > 0.5  # that there is something to tell apart
    # The stretching and the window do something to texts as long as these.
    for name in ("rotary_scaling", "window"):
        if getattr(model.network.blocks[0].attention, name):
            other = models.build(
                model.recipe.override({f"model.{name}": _OFF[name]}), model.tokenizer
            )
            other.set_weights(model.get_weights())
            assert abs(other(IDS) - expected).numpy().max() > 0.01


_OFF = {"rotary_scaling": [1.0], "window": 0}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A folder of each kind and the model of transformers that it holds."""
    found = {}
    for kind in LOADERS:
        folder = tmp_path_factory.mktemp(kind)
        found[kind] = folder, write_model(kind, folder)
    return found


@pytest.fixture
def folder(written, tmp_path):
    """A GPT-2's folder to spoil."""
    return copy(written["gpt2"][0], tmp_path / "copy")


def copy(source, target):
    target.mkdir()
    for path in source.iterdir():
        (target / path.name).write_bytes(path.read_bytes())
    return target


@pytest.mark.long
def test_greedy_text_is_that_of_transformers(written):
    import torch

    folder, oracle = written["gpt2"]
    model = load_gpt2(folder, temperature=0.0, max_new_tokens=12)
    assert model.generation.stop == (END,)
    assert model.tokenizer.start_id == 0
    prompt = [model.tokenizer.start_id, *model.tokenizer.encode(PROMPT).tolist()]
    oracle.generation_config.eos_token_id = None
    expected = oracle.generate(
        torch.tensor([prompt]),
        attention_mask=torch.ones([1, len(prompt)]),
        max_new_tokens=12,
        do_sample=False,
        pad_token_id=0,
    )[0, len(prompt) :].tolist()
    state = model.initial_state(1)
    hidden, state = model.engine.hidden_states(tf.constant([prompt]), state)
    state = model.engine.reserve(state, len(expected))
    step, ids = model.engine.stepper(), []
    for _ in expected:
        token = tf.argmax(model.engine.logits(hidden[:, -1]), axis=-1, output_type=tf.int32)
        ids.append(int(token[0]))
        hidden, state = step(token, state)
        hidden = hidden[:, None]
    assert ids == expected
    until = expected.index(0) if 0 in expected else len(expected)
    text = model.generate(PROMPT, strip_prompt=True)
    assert text == model.tokenizer.decode(expected[:until])


def test_a_saved_model_comes_back_with_its_tokenizer(written, tmp_path):
    folder, _ = written["llama"]
    model = load_llama(folder, temperature=0.7)
    model.save(tmp_path / "saved")
    again = get(tmp_path / "saved")
    assert type(again.tokenizer) is type(model.tokenizer)
    assert again.tokenizer.get_config() == model.tokenizer.get_config()
    assert again.generation == model.generation and again.generation.temperature == 0.7
    np.testing.assert_array_equal(again(IDS), model(IDS))


@pytest.mark.parametrize("kind", LOADERS)
def test_every_weight_can_be_trained(kind, written):
    model = LOADERS[kind](written[kind][0])
    ids = model.tokenizer.encode(PROMPT * 2)[None]
    with tf.GradientTape() as tape:
        before, _ = model.batch_loss((ids[:, :-1], ids[:, 1:]))
    weights = model.trainable_variables
    gradients = tape.gradient(before, [weight.value for weight in weights])
    for weight, gradient in zip(weights, gradients):
        assert np.any(tf.convert_to_tensor(gradient)), weight.path
        weight.assign_sub(0.01 * tf.convert_to_tensor(gradient))
    after, _ = model.batch_loss((ids[:, :-1], ids[:, 1:]))
    assert after < before


# What a call may choose


def test_overrides(written):
    folder, _ = written["gpt2"]
    model = load_gpt2(
        folder, dropout=0.0, attention_dropout=0.25, window=3, cache_dtype="bfloat16", seed=5,
        temperature=0.5, stop=["\n"],
    )  # fmt: skip
    assert (model.network.dropout, model.network.attention_dropout, model.network.window) == (
        0.0,
        0.25,
        3,
    )
    assert (model.network.cache_dtype, model.seed) == ("bfloat16", 5)
    assert (model.generation.temperature, model.generation.stop) == (0.5, ("\n",))
    plain = load_gpt2(folder)
    assert (plain.network.dropout, plain.network.attention_dropout, plain.network.window) == (
        0.1,
        0.1,
        0,
    )
    assert abs(model(IDS) - plain(IDS)).numpy().max() > 0.01  # the window
    with pytest.raises(InputError, match="Unknown override 'width'"):
        load_gpt2(folder, width=3)
    with pytest.raises(InputError, match="Unknown override 'temprature'. Did you mean 'temperat"):
        load_gpt2(folder, temprature=3)


def test_another_tokenizer(tmp_path):
    oracle = write_model("llama", tmp_path, vocab_size=256)
    (tmp_path / "tokenizer.json").unlink()
    tokenizer = ByteTokenizer()
    model = load_llama(str(tmp_path), tokenizer=tokenizer)
    assert model.tokenizer is tokenizer and model.generation.stop == ()
    np.testing.assert_allclose(model(IDS % 256), oracle_logits(oracle, IDS % 256), atol=1e-4)
    with pytest.raises(InputError, match="lacks tokenizer.json: write it with transformers"):
        load_llama(tmp_path)
    change_config(tmp_path, vocab_size=257)
    with pytest.raises(InputError, match=r"must have the shape \(257, 12\)"):
        load_llama(tmp_path, tokenizer=tokenizer)


def test_a_tokenizer_of_another_size_is_refused(written, folder):
    with pytest.raises(InputError, match="vocabulary of 262. Received: tokenizer of 256"):
        load_gpt2(folder, tokenizer=ByteTokenizer())


@pytest.mark.long
def test_a_tokenizer_larger_than_the_embedding(written, folder):
    definition = json.loads((folder / "tokenizer.json").read_text("utf-8"))
    pad = {**definition["added_tokens"][0], "id": VOCABULARY, "content": "<pad>"}
    definition["added_tokens"].append(pad)
    (folder / "tokenizer.json").write_text(json.dumps(definition), "utf-8")
    model = load_gpt2(folder, temperature=0.0, max_new_tokens=5)
    text = load_gpt2(written["gpt2"][0], temperature=0.0, max_new_tokens=5).generate(PROMPT)
    assert model.generate(PROMPT) == text
    with pytest.raises(
        InputError, match="needs the token '<pad>', whose id 262 is beyond"
    ) as error:
        model.generate(["fine", "a<pad>"])
    assert "\n" not in str(error.value)


# Where a text begins and ends


def ends(folder, **ids):
    """The start and the stop texts of a folder's model."""
    change_config(folder, **ids)
    model = load_gpt2(folder)
    return model.tokenizer.start_id, model.generation.stop


def write(folder, name, **values):
    (folder / name).write_text(json.dumps(values))


def test_where_a_text_begins_and_ends(folder):
    newline = HuggingFaceTokenizer.from_file(folder / "tokenizer.json").encode("\n")[0]
    none = {"bos_token_id": None, "eos_token_id": None}
    for name in ("generation_config.json", "tokenizer_config.json"):
        (folder / name).unlink(missing_ok=True)
    assert ends(folder, bos_token_id=5, eos_token_id=0) == (5, (END,))
    assert ends(folder, bos_token_id=None, eos_token_id=0) == (0, (END,))
    # The defaults of the class, which a small vocabulary does not have, are none.
    assert ends(folder, bos_token_id=50256, eos_token_id=50256) == (newline, ())
    write(folder, "tokenizer_config.json", eos_token={"content": END})
    assert ends(folder, **none) == (0, (END,))
    write(folder, "tokenizer_config.json", bos_token=END)
    assert ends(folder, **none) == (0, ())
    write(folder, "generation_config.json", bos_token_id=7, eos_token_id=[0, 7])
    assert ends(folder, **none)[0] == 7 and END in ends(folder)[1]
    # A config comes first.
    assert ends(folder, bos_token_id=9)[0] == 9


# What is refused


@pytest.mark.parametrize(
    ("kind", "changes", "message"),
    [
        (
            "gpt2",
            {"model_type": "llama"},
            "model_type must be 'gpt2'. Received: model_type='llama'",
        ),
        ("gpt2", {"activation_function": "gelu"}, "must be 'gelu_new' or 'gelu_pytorch_tanh'"),
        ("gpt2", {"scale_attn_weights": False}, "scale_attn_weights must be True"),
        ("gpt2", {"scale_attn_by_inverse_layer_idx": True}, "inverse_layer_idx must be False"),
        ("gpt2", {"add_cross_attention": True}, "add_cross_attention must be False"),
        ("gpt2", {"quantization_config": {"bits": 4}}, "quantization_config must be None"),
        ("gpt2", {"n_embd": "DROP"}, "config.json lacks 'n_embd'"),
        ("gpt2", {"n_embd": "12"}, "n_embd must be an integer >= 1. Received: n_embd='12'"),
        ("gpt2", {"n_layer": -1}, "n_layer=-1"),
        ("gpt2", {"n_layer": True}, "n_layer=True"),
        ("gpt2", {"n_head": 5}, "n_head must be a divisor of n_embd == 12. Received: n_head=5"),
        ("gpt2", {"layer_norm_epsilon": -1}, "layer_norm_epsilon=-1"),
        ("gpt2", {"layer_norm_epsilon": float("nan")}, "layer_norm_epsilon=nan"),
        ("gpt2", {"resid_pdrop": 1.5}, r"config.json: .*dropout=1.5"),
        ("gpt2", {"tie_word_embeddings": "no"}, "tie_word_embeddings must be true or false"),
        ("gpt2", {"n_layer": 3}, "model.safetensors lacks the tensor transformer.h.2.ln_1.weight"),
        ("gpt2", {"n_layer": 10**9}, "lacks the tensor transformer.h.2.ln_1.weight"),
        ("gpt2", {"n_layer": 1}, "holds the tensor transformer.h.1.attn.c_attn.bias, which the"),
        ("gpt2", {"n_positions": 10**9}, r"wpe.weight must have the shape \(1000000000, 12\)"),
        ("gpt2", {"n_inner": 7}, r"shape \(12, 7\), by the config. Received: shape=\(12, 48\)"),
        ("gpt2", {"tie_word_embeddings": False}, "lacks the tensor lm_head.weight"),
        ("llama", {"model_type": "gemma"}, "'llama' or 'mistral' or 'qwen2'.*model_type='gemma'"),
        ("llama", {"model_type": "qwen2"}, "lacks the tensor .*q_proj.bias"),
        ("llama", {"model_type": "mistral", "sliding_window": 0}, "sliding_window=0"),
        ("llama", {"model_type": "qwen2", "use_sliding_window": True}, "use_sliding_window must"),
        ("llama", {"model_type": "qwen2", "layer_types": ["sliding_attention"]}, "layer_types='sl"),
        ("llama", {"hidden_act": "gelu"}, "hidden_act must be 'silu'. Received: hidden_act='gelu'"),
        ("llama", {"attention_bias": True}, "lacks the tensor .*q_proj.bias"),
        ("llama", {"mlp_bias": True}, "lacks the tensor .*gate_proj.bias"),
        ("llama", {"rope_scaling": {"type": "dynamic", "factor": 2.0}}, "rope_type='dynamic'"),
        (
            "llama",
            {"rope_parameters": {"rope_type": "yarn"}},
            "'default' or 'linear' or 'llama3'. Received: rope_type='yarn'",
        ),
        ("llama", {"rope_parameters": {"rope_type": "llama3"}}, "lacks 'factor'"),
        ("llama", {"rope_scaling": {"type": "linear", "factor": 0}}, "rotary_scaling must be"),
        ("llama", {"rope_parameters": {"partial_rotary_factor": 0.5}}, "partial_rotary_factor=0.5"),
        ("llama", {"rope_scaling": 2.0}, "rope_scaling must be an object of JSON"),
        ("llama", {"num_key_value_heads": 3}, r"shape \(12, 12\), by the config. .*\(8, 12\)"),
        ("llama", {"tie_word_embeddings": True}, "lm_head.weight must equal model.embed_tokens"),
        ("llama", {"attention_bias": True, "mlp_bias": True}, "lacks the tensor .*q_proj.bias"),
    ],
)
def test_a_config_of_something_else_is_refused(kind, changes, message, written, tmp_path):
    folder = copy(written[kind][0], tmp_path / "copy")
    change_config(folder, **changes)
    with pytest.raises(InputError, match=message) as error:
        LOADERS[kind](folder)
    assert "\n" not in str(error.value) and str(folder) in str(error.value)


@pytest.mark.parametrize("kind", LOADERS)
def test_a_folder_opens_by_its_path(kind, written, tmp_path):
    folder = written[kind][0]
    model = get(folder, temperature=0.0)
    np.testing.assert_array_equal(model(IDS), LOADERS[kind](folder)(IDS))
    assert model.generation.temperature == 0.0 and model.generation.stop == (END,)
    assert abs(get(str(folder), weights=False)(IDS) - model(IDS)).numpy().max() > 0.1
    item = find(folder)
    assert (item.kind, item.data_kind, item.pretrained) == ("entry", "text", True)
    described = str(describe(folder))
    assert f"{kind} of Hugging Face" in described
    assert describe(folder).parameters == sum(np.prod(weight.shape) for weight in model.weights)
    # Saved as ours it keeps what it is.
    model.save(tmp_path / "saved")
    np.testing.assert_array_equal(get(tmp_path / "saved")(IDS), model(IDS))


@pytest.mark.long
def test_the_command_line_opens_a_folder(written, capsys):
    folder = str(written["llama"][0])
    assert cli.main(["generate", folder, PROMPT, "--max-new-tokens", "3"]) == 0
    assert capsys.readouterr().out.startswith(PROMPT)
    assert cli.main(["info", folder]) == 0
    assert "llama of Hugging Face" in capsys.readouterr().out
    assert cli.main(["export", folder, folder + "-out"]) == 0


def test_the_stretching_of_positions_is_saved(tmp_path):
    write_model("llama", tmp_path / "hf", rope_parameters=LLAMA_3)
    model = get(tmp_path / "hf")
    assert list(model.network.blocks[0].attention.rotary_scaling) == [8.0, 1.0, 4.0, 64.0]
    model.save(tmp_path / "saved")
    np.testing.assert_array_equal(get(tmp_path / "saved")(IDS), model(IDS))


def test_a_folder_of_another_family_is_refused_in_one_line(folder):
    for kind in ("bert", "DROP"):
        change_config(folder, model_type=kind)
        with pytest.raises(InputError, match="model_type must be 'gpt2' or 'llama' or") as error:
            get(folder)
        assert "\n" not in str(error.value)


def test_older_configs_are_understood(written, tmp_path):
    def rotary_base(folder):
        return load_llama(folder).network.blocks[0].attention.rotary_base

    folder = copy(written["llama"][0], tmp_path / "copy")
    expected = oracle_logits(written["llama"][1], IDS)
    change_config(folder, rope_parameters="DROP", rope_theta="DROP", rope_scaling=None)
    np.testing.assert_allclose(load_llama(folder)(IDS), expected, rtol=1e-4, atol=1e-4)
    change_config(folder, rope_theta=50.0)
    assert rotary_base(folder) == 50.0
    change_config(folder, rope_scaling={"type": "default"}, attention_bias="DROP", mlp_bias="DROP")
    assert rotary_base(folder) == 50.0
    change_config(folder, rope_parameters={"rope_theta": 70})
    assert rotary_base(folder) == 70.0


def rewritten(folder, change):
    """Changes the tensors of a folder."""
    from safetensors.numpy import load_file, save_file

    tensors = load_file(folder / "model.safetensors")
    save_file(change(tensors), folder / "model.safetensors")


def test_names_of_older_files_are_understood(written, folder):
    expected = oracle_logits(written["gpt2"][1], IDS)

    def change(tensors):
        short = {name.removeprefix("transformer."): value for name, value in tensors.items()}
        masks = {"h.0.attn.bias": np.ones([1, 1, 4, 4], bool), "h.0.attn.masked_bias": np.ones([1])}
        return {**short, **masks, "lm_head.weight": short["wte.weight"]}

    rewritten(folder, change)
    np.testing.assert_allclose(load_gpt2(folder)(IDS), expected, rtol=1e-4, atol=1e-4)


def test_weights_that_are_no_numbers_are_refused(folder):
    def change(tensors):
        return {name: value.astype(np.int8) for name, value in tensors.items()}

    rewritten(folder, change)
    with pytest.raises(InputError, match="wte.weight must be one of F64, F32, F16, BF16.*=I8"):
        load_gpt2(folder)


@pytest.mark.parametrize("content", ["cut", "", "pickle"])
def test_a_broken_file_is_refused(content, folder):
    path = folder / "model.safetensors"
    data = {"cut": path.read_bytes()[:-5], "": b"", "pickle": b"\x80\x02}q\x00." * 99}[content]
    path.write_bytes(data)
    with pytest.raises(InputError, match="model.safetensors is no whole safetensors file"):
        load_gpt2(folder)


def test_a_pickle_is_not_opened(folder):
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(InputError, match="pytorch_model.bin.*convert it to safetensors") as error:
        load_gpt2(folder)
    assert "\n" not in str(error.value)
    (folder / "pytorch_model.bin").unlink()
    with pytest.raises(InputError, match="neither model.safetensors nor model.safetensors.index"):
        load_gpt2(folder)


@pytest.mark.parametrize(
    ("index", "message"),
    [
        ("{", "not (valid JSON|UTF-8)"),
        ("[]", "must hold an object"),
        ('{"weight_map": []}', "weight_map must be an object of JSON"),
        ('{"weight_map": {"a": "../a.safetensors"}}', "names of files beside it"),
        ('{"weight_map": {"a": "/a.safetensors"}}', "names of files beside it"),
        ('{"weight_map": {"a": 5}}', "names of files beside it"),
        ('{"weight_map": {"a": "gone.safetensors"}}', "gone.safetensors is no whole safetensors"),
        ("{}", "lacks the tensor transformer.wte.weight"),
    ],
)
def test_a_broken_index_is_refused(index, message, folder):
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors.index.json").write_text(index)
    with pytest.raises(InputError, match=message):
        load_gpt2(folder)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "config.json cannot be read: No such file"),
        ("", "not (valid JSON|UTF-8)"),
        ("[" * 100_000, "not (valid JSON|UTF-8)"),
        ("3", "must hold an object of JSON"),
        ("{}", "lacks 'n_embd'|model_type"),
    ],
)
def test_a_broken_config_is_refused(content, message, folder):
    path = folder / "config.json"
    path.unlink()
    if content is not None:
        path.write_text(content)
    with pytest.raises(InputError, match=message) as error:
        load_gpt2(folder)
    assert "\n" not in str(error.value)


def test_a_missing_package_is_said_in_one_line(written):
    code = (
        "import sys\n"
        "from tfgen.zoo import load_gpt2\n"
        "assert not {'tensorflow', 'safetensors', 'tokenizers'} & set(sys.modules)\n"
        "sys.modules['safetensors'] = None\n"
        "try:\n"
        f"    load_gpt2({str(written['gpt2'][0])!r})\n"
        "except ValueError as error:\n"
        "    print(type(error).__name__, error)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
        capture_output=True,
        text=True,
    )
    assert result.stdout.startswith("InputError Weights of Hugging Face need"), result.stderr
    assert result.stdout.strip().endswith("pip install 'tfgen-sequences[hf]'")
