"""`tfgen list`: the names of the zoo."""

import sys

from tfgen import zoo
from tfgen.cli.arguments import Parser
from tfgen.cli.screen import show
from tfgen.errors import InputError
from tfgen.zoo.registry import unknown_name


def parser():
    parser = Parser("list", run, "Lists the names of the zoo.")
    parser.add_argument("pattern", metavar="PATTERN", nargs="?", default="*", help="e.g. 'lstm-*'")
    parser.add_argument("--kind", help=f"only one kind: {', '.join(zoo.KINDS)}")
    parser.add_argument("--pretrained", action="store_true", help="only what comes with weights")
    return parser


def run(arguments):
    shown = arguments.kind is None and arguments.pattern == "*"
    names = zoo.list_models(
        arguments.pattern, kind=arguments.kind, pretrained=arguments.pretrained or None
    )
    if not names and set(arguments.pattern) & set("*?["):
        raise InputError(f"No name matches '{arguments.pattern}'; tfgen list shows all")
    if not names:
        raise unknown_name(arguments.pattern)
    # What can be used first; layers are for those who build models, and ask for them.
    items = sorted((zoo.find(name) for name in names), key=lambda item: zoo.KINDS.index(item.kind))
    listed = [item for item in items if item.kind != "layer"] if shown else items
    width = max(len(item.name) for item in listed)
    for item in listed:
        show(f"{item.name:<{width}}  {item.kind:<6}  {item.summary}".rstrip())
    if len(listed) < len(items):
        hidden = len(items) - len(listed)
        show(f"{hidden} layers: tfgen list --kind layer", file=sys.stderr)
