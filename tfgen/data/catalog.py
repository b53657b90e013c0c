"""The data sets that come with tfgen, one row each. `files/README.md` tells their sources."""

import dataclasses
from pathlib import Path

FILES = Path(__file__).parent / "files"


@dataclasses.dataclass(frozen=True)
class BuiltIn:
    """A data set in this package, or in another one.

    Attributes:
        file: Name of its file; None of what another package carries.
        summary: One line for people.
        licence: Its licence.
        kind: One of `tfgen.kinds.KINDS`.
        column: Of a table of texts, the column that is read unless another is named.
    """

    file: str | None
    summary: str
    licence: str
    kind: str = "text"
    column: str | None = None

    @property
    def path(self):
        return FILES / self.file


BUILTIN = {
    "shakespeare": BuiltIn(
        "shakespeare.txt.xz",
        "nine plays of Shakespeare, much the text of char-rnn's tiny-shakespeare",
        "MIT (the edition); the plays are in the public domain",
    ),
    "names": BuiltIn(
        "names.txt.xz",
        "given names in the United States since 1880, one a line, in random order",
        "public domain (US government)",
    ),
    "cmudict": BuiltIn(
        "cmudict.tsv.xz",
        "124,926 English words and their 133,667 pronunciations in phonemes, from CMUdict",
        "BSD 2-Clause (Carnegie Mellon University)",
        column="phonemes",
    ),
    "weather": BuiltIn(
        "weather.csv.xz",
        "hourly weather at the three airports of New York in 2013: 8 variables with gaps",
        "CC0",
        "series",
    ),
    "kanji": BuiltIn(
        "kanji/kanji.npz",
        "6,703 Japanese characters stroke by stroke, from KanjiVG",
        "CC BY-SA 3.0, Copyright Ulrich Apel (KanjiVG)",
        "strokes",
    ),
    "pendigits": BuiltIn(
        "pendigits.npz",
        "10,992 handwritten digits of 8 points each, with the digit as class",
        "CC BY 4.0, E. Alpaydin and F. Alimoglu",
        "strokes",
    ),
    "handwriting": BuiltIn(
        "hershey.npz",
        "10,000 lines of handwriting with their texts (data.source=texts), made of two fonts",
        "the acknowledgement of the Hershey fonts, LICENSES/Hershey.txt",
        "strokes",
    ),
    "drums": BuiltIn(
        "drums.npz",
        "105 drum sounds of at most 1.024 seconds at 16 kHz, in 8 classes",
        "CC0",
        "audio",
    ),
    "chorales": BuiltIn(
        None,
        "some 350 four-part chorales of Bach's, in eighths, which an installed music21 carries",
        "not shipped: Bach's are in the public domain, music21's encodings without an open licence",
        "music",
    ),
}
