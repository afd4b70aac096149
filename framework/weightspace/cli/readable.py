"""Making messages of jsonargparse readable: without the list of all attempts, and with the closest match."""

from __future__ import annotations

import difflib
import re
import sys
from collections.abc import Callable, Collection
from typing import Any

from jsonargparse import _typehints as typehints

from weightspace.errors import closest

#: Starts of lines that list attempts, or repeat the value.
_DULL = (
    "Does not validate", "Subtypes:", "Errors:", "Given value", "Expected a path but", "Traceback",
    "Subclass types expect one of", "a class path (str)", "a dict with", "Not a valid subclass of",
)  # fmt: skip
_TYPE = re.compile(r"Expected an? (?:<class '([\w.]+)'>|typing\.Literal(\[.*\]))(?:\. Got value: .*)?")
#: Largest number of names that a message lists.
_MANY = 16


def readable(message: str) -> str:
    """Extracts the helpful sentences of a jsonargparse message, without the nested list of all attempts.

    >>> readable("Parser key \\"trainer.max_epochs\\":\\n  Does not validate against any of the Union subtypes\\n"
    ...     "  Subtypes: [<class 'int'>, <class 'NoneType'>]\\n  Errors:\\n    - Expected a <class 'int'>\\n"
    ...     "    - Expected a <class 'NoneType'>\\n  Given value type: <class 'str'>\\n  Given value: many")
    "trainer.max_epochs: expected int or None, found 'many'"
    """
    key = re.search(r'(?:Parser key|argument) "?-{0,2}([\w.]+)"?:', message)
    body = message[key.end() :] if key else message
    given = re.search(r"(?:Given|Got) value: (.*)", body)
    lines = dict.fromkeys(line.strip(" -") for line in body.splitlines())
    reasons = [line for line in lines if line and not line.startswith(_DULL)]
    types = [match for match in map(_TYPE.fullmatch, reasons) if match]
    others = list(dict.fromkeys(_reworded(reason) for reason in reasons if not _TYPE.fullmatch(reason)))
    if any(
        "there is no option" in other for other in others
    ):  # of the class that the value names: others have no options
        others = [other for other in others if "Known: (none)" not in other]
    if not others and given:
        names = [(match.group(1) or match.group(2)).replace("NoneType", "None") for match in types]
        names = [*re.findall(r"Not a valid subclass of (\w+)", body), *names]
        others = [f"expected {' or '.join(dict.fromkeys(names))}, found {given.group(1)!r}"]
    return f"{key.group(1)}: {' '.join(others)}" if key else " ".join(others)


def explained(parser: Any, message: str) -> str:
    """The readable part of a message, with the closest names if a name is unknown.

    Args:
        parser: the jsonargparse parser that raised the message; for a nested class, the parser of its arguments.
        message: the message of jsonargparse.
    """
    known: dict[str, Callable[[re.Match[str]], str]] = {
        r"Option '([\w.]+)' is not accepted": lambda match: _option(match, parser),
        r"Subcommand '(\w+)' does not accept option '([\w.]+)'": lambda match: _key(match[2], parser),
        r"Group '([\w.]+)' does not accept option '([\w.]+)'": lambda match: _option(match, parser),
        r"unrecognized arguments: (--?[\w.]+).*": lambda match: _argument(match, parser),
        r"invalid choice: '(.*?)',? \(choose from (.*?)\)": _choice,
        r"there is no class (\w+), expected its name or dotted path(?!:)": lambda match: _class(match, parser, message),
    }
    text = readable(message)
    for pattern, reword in known.items():
        text = re.sub(pattern, reword, text)
    return text


def hint(name: str, known: Collection[str]) -> str:
    """Suggests the closest match and, for a short list, all names.

    >>> hint("hiden", ["hidden", "layers"])
    "did you mean 'hidden'? Known: hidden, layers"
    """
    text = closest(name, known)
    return text if len(known) <= _MANY else text.split("Known:")[0].strip() or "--help lists all"


def _reworded(reason: str) -> str:
    """Rewords a sentence of jsonargparse about a class path."""
    reason = re.sub(r"^([\w.]+: )?Type .* expects a function or a callable class: ", r"\1", reason)
    reason = re.sub(r"\.? Got value: .*$", "", reason)
    reason = re.sub(r"Expected a dot import path string: (\S+)", _NO_CLASS, reason)
    reason = re.sub(r"Importing '(\S+)' is not allowed, .*", r"\1 is not to be run by a configuration", reason)
    return re.sub(r"module '([\w.]+)' has no attribute '(\w+)'(?!:)", _attribute, reason)


_NO_CLASS = r"there is no class \1, expected its name or dotted path"


def _attribute(match: re.Match[str]) -> str:
    names = [name for name, value in vars(sys.modules.get(match[1], re)).items() if isinstance(value, type)]
    close = difflib.get_close_matches(match[2], names, n=1)
    return match[0] + (f": did you mean {close[0]!r}?" if close else "")


def _choice(match: re.Match[str]) -> str:
    names = re.findall(r"[^\s',]+", match[2])
    return f"there is no {match[1]!r}: {hint(match[1], names)}"


def _options(parser: Any) -> list[str]:
    """Names of a parser's options, or, if it has subcommands, of the requested subcommand."""
    commands = parser._subcommands_action
    if commands is not None:
        asked = next((argument for argument in parser.args or [] if argument in commands.choices), None)
        return _options(commands.choices[asked]) if asked else sorted(commands.choices)
    names = {option.lstrip("-").rstrip("+") for action in parser._actions for option in action.option_strings}
    return sorted(name for name in names if len(name) > 1 and not re.search(r"(^|\.)help$|^print_", name))


def _option(match: re.Match[str], parser: Any) -> str:
    *group, name = match.groups()
    before = f"{group[0]}." if group else ""
    known = [option.removeprefix(before) for option in _options(parser) if option.startswith(before)]
    return f"there is no option {before}{name}: {hint(name, known)}"


def _key(name: str, parser: Any) -> str:
    known = set(_options(parser))
    known |= {option.split(".")[0] for option in known}
    return f"there is no option {name}: {hint(name, known)}"


def _argument(match: re.Match[str], parser: Any) -> str:
    name, known = match[1].lstrip("-"), _options(parser)
    first, dot, rest = name.partition(".")
    roots = {option.split(".")[0] for option in known}
    if dot and first not in roots:  # the rest may belong to a class that only the configuration names
        close = difflib.get_close_matches(first, roots, n=1)
        text = f"did you mean '--{close[0]}.{rest}'?" if close else "--help lists all"
    else:
        close = difflib.get_close_matches(name, known, n=1, cutoff=0.7)
        text = f"did you mean '--{close[0]}'?" if close else "--help lists all"
    return f"there is no option {match[1]}: {text}"


def _class(match: re.Match[str], parser: Any, message: str) -> str:
    key = re.search(r'Parser key "([\w.]+)"', message)
    names = _known_classes(parser, key.group(1)) if key else []
    return f"{match[0]}: {hint(match[1], names)}" if names else match[0]


def _known_classes(parser: Any, key: str) -> list[str]:
    """Names of the imported classes that a parser's key accepts."""
    action = next((action for action in parser._actions if action.dest == key), None)
    hint = getattr(action, "_typehint", None)
    paths = typehints.get_all_subclass_paths(hint) if hint is not None else []
    return sorted({path.rpartition(".")[2] for path in paths})
