"""What a person got wrong, said in one line."""

import difflib


class InputError(ValueError):
    """A mistake in what a person gave: a name, a path, a value.

    Its message is one line that says what was found, where, and what is allowed. The command line
    prints that line alone and exits with code 2; every other exception is a fault of tfgen and
    keeps its traceback.
    """


def unknown(kind, name, options):
    """Returns the `InputError` for a name that is not among `options`.

    Args:
        kind: What the name stands for, e.g. `"family"` or `"recipe key"`.
        name: The name as it was given.
        options: The names that are allowed.
    """
    options = sorted(str(option) for option in options)
    folded = {option.lower().replace("_", "-"): option for option in options}
    near = difflib.get_close_matches(str(name).lower().replace("_", "-"), folded, n=3, cutoff=0.5)
    hint = f" Did you mean {' or '.join(repr(folded[match]) for match in near)}?" if near else ""
    allowed = ", ".join(options) if options else "(none)"
    return InputError(f"Unknown {kind} '{name}'.{hint} Known: {allowed}")
