"""`tfgen generate` with models of text: what goes on from prompts."""

import dataclasses
import re
import sys
from pathlib import Path

from tfgen.cli.arguments import add_fields, check_counts, given_fields, integer, to_unicode
from tfgen.cli.models import find_model, open_model
from tfgen.cli.screen import show
from tfgen.errors import InputError
from tfgen.kinds import find_kind
from tfgen.recipe import TokenSampling

_SAMPLING = tuple(field.name for field in dataclasses.fields(TokenSampling))
# Of these, what no other model takes.
_OWN = tuple(name for name in _SAMPLING if name not in ("temperature", "guidance_scale"))
# Options that only a model of text takes.
OPTIONS = (
    *_OWN, "strip_prompt", "beams", "length_penalty", "contrastive", "draft",
    "draft_tokens",
)  # fmt: skip
# Of models of events of music: files to write.
_MUSIC = (".mid", ".midi", ".wav", ".png")


def add_options(parser):
    """Adds the options that `generate` has for models of text."""
    group = parser.add_argument_group("models of text")
    add_fields(group, _OWN, TokenSampling)
    group.add_argument("--strip-prompt", action="store_true", help="leave the prompt out")
    group.add_argument("--beams", type=integer, help="look for the most likely text: beam search")
    group.add_argument(
        "--length-penalty", type=float, help="with --beams: above 0 favours long texts (1)"
    )
    group.add_argument(
        "--contrastive",
        metavar="ALPHA",
        type=float,
        help="contrastive search, 0 to 1: among --top-k likely tokens (4) avoid what repeats",
    )
    group.add_argument("--draft", metavar="NAME", help="a smaller draft model that proposes tokens")
    group.add_argument(
        "--draft-tokens", type=integer, help="with --draft: tokens guessed at once (4)"
    )


def refuse(arguments, kind):
    """Refuses prompts, which models of other kinds do not take, but with a text to go on with."""
    if arguments.prompts and not (find_kind(kind).continues or arguments.source):
        raise InputError(
            f"A model of {find_kind(kind).words} takes no prompt. "
            f"Received: {to_unicode(arguments.prompts[0])!r}"
        )


def run(arguments, kind):
    """Continues prompts.

    Args:
        arguments: Those of `tfgen generate`.
        kind: What the model is of.
    """
    from tfgen.report.texts import as_text, write_texts

    options = given_fields(arguments, _SAMPLING, TokenSampling)
    check_counts(arguments, "num_samples")
    names = None if arguments.source is None else [*map(to_unicode, arguments.source)]
    prompts = [to_unicode(prompt) for prompt in arguments.prompts] or [""]
    several = max(len(prompts), len(names or ())) > 1
    if arguments.stream and (several or arguments.num_samples > 1 or arguments.out):
        raise InputError("--stream is for one prompt, one sample, and no --out")
    options |= {"seed": arguments.seed, "strip_prompt": arguments.strip_prompt}
    if arguments.condition is not None:
        number = re.fullmatch(r"[+-]?\d{1,9}", arguments.condition)
        options["condition"] = to_unicode(arguments.condition)
    search_kind = _search_kind(arguments)
    if search_kind == "draft" and find_model(arguments.draft).data_kind != kind:
        raise InputError(f"--draft must be a model of text. Received: --draft {arguments.draft}")

    music = arguments.out is not None and Path(arguments.out).suffix.lower() in _MUSIC
    if music and kind != "events":
        raise InputError(
            f"{arguments.name} is no model of events of music. Received: --out {arguments.out}"
        )
    if music:
        options.setdefault("stop", ["\n"])  # where a piece ends
    if kind == "events":
        prompts = [_words(prompt) for prompt in prompts]

    model = open_model(arguments.name, arguments.dtype)
    if arguments.condition is not None and number and options["condition"] not in model.classes:
        options["condition"] = int(options["condition"])
    if names is not None:
        names, sources = _sources(model, names)
        if len(prompts) == 1:
            prompts *= len(sources)
        options["source"] = sources * len(prompts) if len(sources) == 1 else sources
    search = _search(search_kind, arguments) if search_kind else None
    if search_kind:
        options["search"] = search
    if search_kind == "contrastive":
        options.pop("top_k", None)  # it is the search's own
    if arguments.stream:
        if names is not None:
            options["source"] = sources[0]
        for piece in model.stream(prompts[0], **options):
            print(piece, end="", flush=True)
        print()
        return
    texts = model.generate(prompts, num_samples=arguments.num_samples, **options)
    samples = [[text] if isinstance(text, str) else list(text) for text in texts]
    if search_kind == "draft":
        told = search.statistics
        show(
            f"{told['accepted']} of {told['proposed']} guesses accepted "
            f"({told['acceptance']:.0%}): {told['tokens_per_pass']:.2f} tokens for each pass of "
            f"{arguments.name}",
            file=sys.stderr,
        )
    if arguments.out is None:
        print(as_text(samples, names))
        return
    if music:
        _write_pieces(arguments.out, [text for row in samples for text in row])
        return
    write_texts(arguments.out, prompts, samples, names)
    show(f"Wrote {arguments.out}")


def _words(prompt):
    """A prompt, or the words of the file of music that it is the name of, which go on."""
    if Path(prompt).suffix.lower() not in find_kind("events").suffixes:
        return prompt
    if not Path(prompt).is_file():
        raise InputError(f"There is no file {prompt} to go on with")
    from tfgen.data.music.events import read_words

    return read_words(Path(prompt)).removesuffix("\n")


def _write_pieces(path, texts):
    from tfgen.data.music.events import to_piece
    from tfgen.report.music import write_pieces

    pieces = [to_piece(text, f"sample {number}") for number, text in enumerate(texts, start=1)]
    written = write_pieces(path, pieces)
    for number, file in enumerate(written):
        those = pieces if len(written) < len(pieces) else [pieces[number]]
        notes = sum(len(piece.notes) for piece in those)
        seconds = sum(float(piece.seconds(piece.end)) for piece in those)
        show(f"Wrote {file}: {notes:,} notes, {seconds:.1f} s")


def _sources(model, words):
    """Names of sources and what the model takes: the words themselves, or what their files hold."""
    processor = getattr(model.preprocessing, "source", None)
    if processor is None:
        return words, words
    from tfgen.data import open_sequences
    from tfgen.recipe import DataConfig

    names, sources = [], []
    for word in words:
        found = processor.check(open_sequences(DataConfig(name=word)))
        single = len(found) == 1
        names += [word if single else f"{word}: {each}" for each in found.ids]
        sources += found.values
    return names, sources


def _search_kind(arguments):
    """Which search the options ask for, or None."""
    kinds = {"beams": ["length_penalty"], "contrastive": [], "draft": ["draft_tokens"]}
    chosen = [name for name in kinds if getattr(arguments, name) is not None]
    if len(chosen) > 1:
        raise InputError(f"--{chosen[0]} and --{chosen[1]} exclude each other")
    for name, details in kinds.items():
        for detail in details:
            if getattr(arguments, detail) is not None and name not in chosen:
                raise InputError(f"--{detail.replace('_', '-')} goes with --{name}")
    if chosen and arguments.stream:
        raise InputError(f"--stream draws token by token: leave --{chosen[0]} out")
    return chosen[0] if chosen else None


def _search(kind, arguments):
    from tfgen.sampling.search import BeamSearch, ContrastiveSearch, Speculative

    if kind == "beams":
        penalty = arguments.length_penalty
        return BeamSearch(arguments.beams, 1.0 if penalty is None else penalty)
    if kind == "contrastive":
        return ContrastiveSearch(arguments.top_k or 4, arguments.contrastive)
    return Speculative(open_model(arguments.draft), arguments.draft_tokens or 4)
