"""`read_elements`: XML, element by element, of files of others."""

from xml.parsers import expat

from tfgen.data.readers import Unreadable


def read_elements(data, path, what, *, entity, start, end, text):
    """Calls functions with what XML holds, in its order.

    Args:
        data: The bytes of a file.
        path: Of the file, for messages.
        what: What it should be, e.g. `"SVG"`.
        entity: Of a declared entity, as expat's `EntityDeclHandler`.
        start: Function `(tag, attributes)` of the beginning of an element.
        end: Function `(tag)` of its end.
        text: Function of a text in it.

    Raises:
        Unreadable: It is no XML; or as the functions raise it.
    """
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.EntityDeclHandler = entity
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = text
    try:
        parser.Parse(data, True)
    except Unreadable:
        raise
    except (expat.ExpatError, LookupError, ValueError) as error:
        raise Unreadable(f"no {what}", f"{path} is no {what}: {error}") from error
