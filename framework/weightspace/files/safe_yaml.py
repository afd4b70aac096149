"""Reading untrusted YAML: plain values only, within limits of size and depth."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import yaml

from weightspace.errors import ConfigError

#: Characters of a text; the longest experiment of ours has 900.
MOST_CHARACTERS = 1_000_000
#: Values that aliases (``*name``) may stand for, all together and with the aliases within them.
MOST_ALIASED = 10_000
#: Lists and mappings within each other.
MOST_LEVELS = 50
#: Characters of a number: reading one takes the square of its length.
MOST_DIGITS = 100

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NUMBER = re.compile(r"[-+]?[\d_:.]+")


def load_yaml(text: str) -> Any:
    """Reads a YAML text: plain values, lists and mappings only.

    Args:
        text: one document.

    Raises:
        ConfigError: the text is beyond a limit, see ``check_yaml``.
        yaml.YAMLError: it is no YAML.

    >>> load_yaml("hidden: [8, 8]")
    {'hidden': [8, 8]}
    """
    check_yaml(text)
    try:
        return yaml.load(text, Loader=_LOADER)
    except ValueError as error:  # for instance a date that does not exist
        raise yaml.YAMLError(str(error)) from error


def check_yaml(text: str) -> None:
    """Checks the structure of a text before its values are built, since nested aliases can grow exponentially.

    Args:
        text: what is to be read; it need not be valid YAML.

    Raises:
        ConfigError: too long, too deep, or too many values by aliases.

    >>> laughs = ["a0: &a0 [lol]", *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10))]
    >>> check_yaml(chr(10).join(laughs))
    Traceback (most recent call last):
    weightspace.errors.ConfigError: YAML: its aliases stand for more than 10,000 values: write them out
    """
    if len(text) > MOST_CHARACTERS:
        raise ConfigError(f"YAML: expected at most {MOST_CHARACTERS:,} characters, found {len(text):,}")
    try:
        _count(text)
    except yaml.YAMLError:
        return  # whoever reads it says what is wrong, and where


def repeated_key(text: str) -> str | None:
    """The first key that a mapping of a document has twice, of which ``load_yaml`` keeps the last; None: there is none.

    >>> repeated_key("a: {b: 1, c: 2, b: 3}")
    'b'
    """
    waiting = [yaml.compose(text, Loader=_LOADER)]
    while waiting:
        node = waiting.pop()
        if isinstance(node, yaml.SequenceNode):
            waiting += node.value
        elif isinstance(node, yaml.MappingNode):
            keys = Counter(key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode))
            if keys and keys.most_common(1)[0][1] > 1:
                return str(keys.most_common(1)[0][0])
            waiting += [value for _, value in node.value]
    return None


def _count(text: str) -> None:
    """Counts values from the innermost collection outwards; each open collection is an anchor name and a count."""
    sizes: dict[str, int] = {}
    open_: list[tuple[str | None, int]] = [(None, 0)]
    aliased = 0
    for event in yaml.parse(text, Loader=_LOADER):
        if isinstance(event, yaml.CollectionStartEvent):
            open_.append((event.anchor, 1))
            if len(open_) > MOST_LEVELS:
                raise ConfigError(f"YAML: lists and mappings are more than {MOST_LEVELS} levels deep")
            continue
        if isinstance(event, yaml.CollectionEndEvent):
            anchor, size = open_.pop()
        elif isinstance(event, yaml.AliasEvent):
            if any(event.anchor == name for name, _ in open_):
                raise ConfigError(f"YAML: *{event.anchor} stands for a value that it is a part of")
            anchor, size = None, sizes.get(str(event.anchor), 1)
            aliased += size
        elif isinstance(event, yaml.ScalarEvent):
            anchor, size = event.anchor, 1
            if event.implicit[0] and len(event.value) > MOST_DIGITS and _NUMBER.fullmatch(event.value):
                raise ConfigError(f"YAML: a number has at most {MOST_DIGITS} characters, found {len(event.value)}")
        else:
            continue
        if aliased > MOST_ALIASED:  # at once: the counts themselves have no bound
            raise ConfigError(f"YAML: its aliases stand for more than {MOST_ALIASED:,} values: write them out")
        if anchor is not None:
            sizes[anchor] = size
        outer, count = open_[-1]
        open_[-1] = (outer, count + size)
