"""The data sets that come with tfgen. `tfgen/data/files/README.md` tells their sources."""

import dataclasses
from pathlib import Path

FILES = Path(__file__).parent / "files"


@dataclasses.dataclass(frozen=True)
class BuiltIn:
    """A data set in this package.

    Attributes:
        file: Name of its xz-compressed file.
        summary: One line for people.
        licence: Its licence.
    """

    file: str
    summary: str
    licence: str

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
}
