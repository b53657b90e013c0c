"""What lies in the folder of a Hugging Face model, read as data and checked."""

import contextlib
import math
from pathlib import Path
from typing import NamedTuple

from tfgen.errors import InputError
from tfgen.files import read_json

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
TOKENIZER = "tokenizer.json"
CONFIG = "config.json"
HEAD = "lm_head.weight"
MAX_JSON_BYTES = 1 << 24

# What holds weights in another form, most of them pickles, which run code when they are opened.
_REFUSED = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.h5", "*.msgpack", "*.gguf")
_DTYPES = ("F64", "F32", "F16", "BF16")
# Buffers that old versions of transformers stored among the weights.
_BUFFERS = (".attn.bias", ".attn.masked_bias", ".rotary_emb.inv_freq")


def is_hugging_face(folder):
    """Whether a folder is one of a Hugging Face model: it has a `config.json` and no recipe."""
    return (folder / CONFIG).is_file() and not (folder / "recipe.toml").is_file()


class Stored(NamedTuple):
    """A tensor as a file has it.

    Attributes:
        name: Its name.
        shape: Its shape.
        transposed: Whether ours is its transpose: PyTorch's linear layers are `(out, in)`.
    """

    name: str
    shape: tuple
    transposed: bool = False


class Config:
    """The values of a JSON file, each checked when it is asked for.

    Every method raises `InputError` for a value that is not allowed; null counts as missing.

    Args:
        path: Path of the file.
        values: Its content; None reads it.
    """

    def __init__(self, path, values=None):
        self.path = path
        self.values = _read_json(path) if values is None else values

    def _get(self, key, default):
        value = self.values.get(key)
        value = default if value is None else value
        if value is None:
            raise InputError(f"{self.path} lacks '{key}'")
        return value

    def refuse(self, key, allowed, value):
        """Raises the `InputError` of a value."""
        raise InputError(f"{self.path}: {key} must be {allowed}. Received: {key}={value!r}")

    def whole(self, key, default=None):
        """An integer from 1 on."""
        value = self._get(key, default)
        if type(value) is not int or not 1 <= value < 1 << 31:
            self.refuse(key, "an integer >= 1", value)
        return value

    def quotient(self, key, divisor):
        """One integer divided by another, which must divide it."""
        value, parts = self.whole(key), self.whole(divisor)
        if value % parts:
            self.refuse(divisor, f"a divisor of {key} == {value}", parts)
        return value // parts

    def number(self, key, default):
        """A float from 0 on."""
        value = self._get(key, default)
        if type(value) not in (int, float) or not 0 <= value <= 3e38:
            self.refuse(key, "a number >= 0", value)
        return float(value)

    def flag(self, key, default):
        """True or False."""
        value = self._get(key, default)
        if not isinstance(value, bool):
            self.refuse(key, "true or false", value)
        return value

    def only(self, key, *allowed, default=None):
        """Refuses any but the allowed values; what is missing is the default, or the first."""
        value = self.values.get(key)
        if value is None:
            value = allowed[0] if default is None else default
        if value not in allowed:
            self.refuse(key, " or ".join(map(repr, allowed)), value)

    def section(self, key):
        """The object under a key, empty if there is none."""
        value = self.values.get(key)
        if not isinstance(value, dict | None):
            self.refuse(key, "an object of JSON", value)
        return Config(f"{self.path}: {key}", value or {})


class Weights(contextlib.ExitStack):
    """The tensors of a folder, read one by one."""

    def __init__(self, folder):
        super().__init__()
        try:
            import ml_dtypes  # noqa: F401  # with it NumPy knows bfloat16
            import safetensors
        except ImportError as error:
            raise InputError(
                "Weights of Hugging Face need the package safetensors: "
                "pip install 'tfgen-sequences[hf]'"
            ) from error
        self._files = {}  # by the tensor's name: its file's path and handle
        for path, wanted in _weight_files(folder):
            try:
                file = self.enter_context(safetensors.safe_open(path, framework="np"))
            except (OSError, safetensors.SafetensorError) as error:
                self.close()
                raise InputError(f"{path} is no whole safetensors file: {error}") from error
            for name in file.keys():  # noqa: SIM118 (no dict)
                if wanted is None or name in wanted:
                    self._files[name] = path, file
        self._where = folder / (WEIGHTS if (folder / WEIGHTS).is_file() else INDEX)

    def _name(self, tensor):
        """The name in the file: of a model that was saved without its head it has no prefix."""
        return tensor.name if tensor.name in self._files else tensor.name.partition(".")[2]

    def count(self):
        """How many numbers the tensors are."""
        return sum(
            math.prod(file.get_slice(name).get_shape())
            for name, (_, file) in self._files.items()
            if not name.endswith(_BUFFERS)
        )

    def check(self, weights, tied):
        """Refuses a folder whose tensors are not exactly those of the weights.

        Args:
            weights: Iterable of paths in a model, each with a list of `Stored`, of which the first
                is the embedding table.
            tied: Whether a head that is stored must equal the embedding.
        """
        known = []
        for _, tensors in weights:
            for tensor in tensors:
                name = self._name(tensor)
                if name not in self._files:
                    raise InputError(f"{self._where} lacks the tensor {tensor.name}")
                self._check_one(tensor, *self._files[name])
                known.append(tensor)
        others = self._files.keys() - {self._name(tensor) for tensor in known}
        others = {name for name in others if not name.endswith(_BUFFERS)}
        if tied and HEAD in others:
            self._check_tied(known[0])
            others.remove(HEAD)
        if others:
            raise InputError(
                f"{self._where} holds the tensor {min(others)}, which the model of its config lacks"
            )

    def _check_one(self, tensor, path, file):
        stored = file.get_slice(self._name(tensor))
        shape, dtype = tuple(stored.get_shape()), stored.get_dtype()
        if shape != tensor.shape:
            raise InputError(
                f"{path}: {tensor.name} must have the shape {tensor.shape}, by the config. "
                f"Received: shape={shape}"
            )
        if dtype not in _DTYPES:
            raise InputError(
                f"{path}: {tensor.name} must be one of {', '.join(_DTYPES)}. "
                f"Received: dtype={dtype}"
            )

    def _check_tied(self, embedding):
        head = Stored(HEAD, embedding.shape)
        self._check_one(head, *self._files[HEAD])
        if (self.read([head]) != self.read([embedding])).any():
            raise InputError(
                f"{self._where}: {HEAD} must equal {embedding.name}, by the config. "
                "Received: two different tensors"
            )

    def read(self, tensors):
        """A list of `Stored` as one float32 array, side by side."""
        import numpy as np  # `tfgen list` goes without it

        parts = []
        for tensor in tensors:
            name = self._name(tensor)
            part = self._files[name][1].get_tensor(name).astype(np.float32)
            if not np.isfinite(part).all():
                raise InputError(
                    f"{self._files[name][0]}: {name} holds numbers that are NaN or infinite"
                )
            parts.append(part.T if tensor.transposed else part)
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=-1)


def read_tokenizer(folder, config, vocabulary):
    """Returns `(tokenizer, ends)`: a folder's tokenizer, and the texts of the tokens that end a text.

    Args:
        folder: A `Path`.
        config: The `Config` of the model.
        vocabulary: Number of ids of the model.

    Raises:
        InputError: If there is none, or it is not the model's.
    """
    from tfgen.preprocessing import read_gpt2, read_hugging_face

    path, files = folder / TOKENIZER, (folder / "vocab.json", folder / "merges.txt")
    if path.is_file():
        tokenizer = read_hugging_face(path, vocabulary)
    elif config.values.get("model_type") == "gpt2" and all(file.is_file() for file in files):
        tokenizer = read_gpt2(*files, vocabulary)
    else:
        raise InputError(
            f"{folder} lacks {TOKENIZER}: write it with transformers, "
            "AutoTokenizer.from_pretrained(folder).save_pretrained(folder)"
        )
    starts, ends = (_special_ids(folder, config, tokenizer, kind) for kind in ("bos", "eos"))
    for start in [*starts, *ends][:1]:
        tokenizer = type(tokenizer)(tokenizer.definition, vocabulary, start)
    # Its text must be that one token, or it would be sought in vain.
    texts = [(end, tokenizer.token(end)) for end in ends]
    return tokenizer, tuple(text for end, text in texts if tokenizer.encode(text).tolist() == [end])


def _special_ids(folder, config, tokenizer, kind):
    """The ids that the folder gives to the beginning (`"bos"`) or the end (`"eos"`) of a text."""
    others = [folder / f"{name}_config.json" for name in ("generation", "tokenizer")]
    generation, names = (Config(path) if path.is_file() else Config(path, {}) for path in others)
    found = []
    for source in (config, generation):
        ids = source.values.get(f"{kind}_token_id")
        found += ids if isinstance(ids, list) else [ids]
    token = names.values.get(f"{kind}_token")
    token = token.get("content") if isinstance(token, dict) else token
    if isinstance(token, str):
        found.append(tokenizer.token_id(token))
    # A config may hold the defaults of its class, which its vocabulary does not have.
    valid = [n for n in found if type(n) is int and 0 <= n < tokenizer.vocabulary_size]
    return [n for n in dict.fromkeys(valid) if tokenizer.token(n) is not None]


def _weight_files(folder):
    """Yields the path of each file of weights, and the names to take from it, None for all."""
    if (folder / WEIGHTS).is_file():
        yield folder / WEIGHTS, None
        return
    if not (folder / INDEX).is_file():
        found = sorted(path.name for pattern in _REFUSED for path in folder.glob(pattern))
        if found:
            raise InputError(
                f"{folder} holds {found[0]}, which is not opened because such files can run code: "
                f"convert it to safetensors, with transformers by save_pretrained(folder)"
            )
        raise InputError(f"{folder} holds neither {WEIGHTS} nor {INDEX}")
    index = Config(folder / INDEX)
    shards = {}
    for name, shard in index.section("weight_map").values.items():
        # A name with a folder in it could lead anywhere.
        if not isinstance(shard, str) or Path(shard).name != shard:
            index.refuse("weight_map", "names of files beside it", shard)
        shards.setdefault(shard, set()).add(name)
    for shard, names in sorted(shards.items()):
        yield folder / shard, names


def _read_json(path):
    try:
        values = read_json(path, MAX_JSON_BYTES)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    if not isinstance(values, dict):
        raise InputError(f"{path} must hold an object of JSON. Received: {str(values)[:40]!r}")
    return values
