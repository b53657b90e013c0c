"""How names are compared: everywhere in tfgen, case and the choice of `-` or `_` do not matter."""


def normalise(name):
    """Returns a name in the one form under which it is stored and looked up.

    Args:
        name: A name as a person typed it, e.g. `"LSTM_Shakespeare"`.

    Returns:
        The name without surrounding spaces, in lower case, with `-` for `_`:
        `"lstm-shakespeare"`.
    """
    return str(name).strip().lower().replace("_", "-")
