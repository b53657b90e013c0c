"""Whatever is done to the files of a model or a run, they are opened or refused in one line."""

import json
import zlib

import numpy as np
import pytest
from hostile import limited
from mutations import mutate

from tfgen import models
from tfgen.models import hugging_face
from tfgen.models import make as new_model
from tfgen.models.hugging_face_folder import Config
from tfgen.preprocessing import CharacterTokenizer, load_processor, load_tokenizer
from tfgen.training.checkpoints import read_arrays, write_arrays


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A model of text and one of numbers, small enough to be opened many times."""
    path = tmp_path_factory.mktemp("models")
    text = new_model("gru", units=4, layers=1, tokenizer=CharacterTokenizer("ab\n"), seed=1)
    text.save(path / "text")
    new_model("gru", "numbers", units=4, layers=1, components=2, seed=1).save(path / "numbers")
    return path


def damage(path, numbers, open_it):
    whole = path.read_bytes()
    try:
        for number in numbers:
            rng = np.random.default_rng([zlib.crc32(path.name.encode()), number])
            path.write_bytes(mutate(whole, rng))
            with limited(f"{path.name} number {number}"):
                open_it()
    finally:
        path.write_bytes(whole)


def damage_model(folders, part, numbers):
    kind = "numbers" if part == "sequence.json" else "text"
    folder = folders / kind

    def open_it():
        if part != "SHA256SUMS":
            models.write_checksums(folder)
        models.load(folder)

    damage(folder / part, numbers, open_it)
    models.write_checksums(folder)
    models.load(folder)


PARTS = ["recipe.toml", "tokenizer.json", "sequence.json", "model.weights.h5", "SHA256SUMS"]


@pytest.mark.parametrize("part", PARTS)
def test_a_damaged_model_is_opened_or_refused(folders, part):
    damage_model(folders, part, range(25))


HUNDREDS, THOUSANDS = (
    pytest.param(range(*each), marks=mark)
    for each, mark in (((25, 300), pytest.mark.long), ((300, 3_000), pytest.mark.exhaustive))
)


@pytest.mark.parametrize("numbers", [HUNDREDS, THOUSANDS])
@pytest.mark.parametrize("part", PARTS)
def test_many_damaged_models_are_opened_or_refused(folders, part, numbers):
    damage_model(folders, part, numbers)


def damage_side_files(folders, tmp_path, numbers):
    write_arrays(
        tmp_path / "step-000000001.npz",
        {"model/a": np.zeros((2, 3), np.float32), "optimizer/0": np.array(3)},
        {"best": {"loss": 0.5, "step": 1}, "worse": 0, "step": 1},
    )
    for path, read in (
        (folders / "text" / "tokenizer.json", load_tokenizer),
        (folders / "numbers" / "sequence.json", load_processor),
        (tmp_path / "step-000000001.npz", read_arrays),
    ):
        damage(path, numbers, lambda: read(path))


def test_damaged_side_files_are_read_or_refused(folders, tmp_path):
    damage_side_files(folders, tmp_path, range(100))


@pytest.mark.long
def test_thousands_of_damaged_side_files_are_read_or_refused(folders, tmp_path):
    damage_side_files(folders, tmp_path, range(4_000))


# Hugging Face folders

LLAMA = {
    "model_type": "llama", "hidden_act": "silu", "vocab_size": 258, "hidden_size": 8,
    "intermediate_size": 12, "num_hidden_layers": 1, "num_attention_heads": 2,
    "num_key_value_heads": 1, "bos_token_id": 0, "eos_token_id": [0],
}  # fmt: skip


@pytest.fixture(scope="module")
def llama(tmp_path_factory):
    numpy = pytest.importorskip("safetensors.numpy")
    tokenizers = pytest.importorskip("tokenizers")
    folder = tmp_path_factory.mktemp("llama")
    (folder / "config.json").write_text(json.dumps(LLAMA))
    config = Config(folder / "config.json")
    arguments = hugging_face.llama_arguments(config)
    rng = np.random.default_rng(0)
    numpy.save_file(
        {
            tensor.name: rng.normal(size=tensor.shape).astype(np.float32)
            for _, tensors in hugging_face.llama_weights(config, 258, **arguments)
            for tensor in tensors
        },
        folder / "model.safetensors",
    )
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=258,
        special_tokens=["<end>", "<pad>"],
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(["a"], trainer)
    tokenizer.save(str(folder / "tokenizer.json"))
    hugging_face.load_llama(folder)
    return folder


@pytest.mark.parametrize("part", ["config.json", "model.safetensors", "tokenizer.json"])
def test_a_damaged_hugging_face_folder_is_opened_or_refused(llama, part):
    damage(llama / part, range(25), lambda: hugging_face.load_llama(llama))


@pytest.mark.parametrize("numbers", [HUNDREDS, THOUSANDS])
@pytest.mark.parametrize("part", ["config.json", "model.safetensors", "tokenizer.json"])
def test_many_damaged_hugging_face_folders_are_opened_or_refused(llama, part, numbers):
    damage(llama / part, numbers, lambda: hugging_face.load_llama(llama))
