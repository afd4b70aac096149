"""What saved weights call the class of their backbone, so that it is found again, and taken for no other.

``DWS``, where a distribution offers it by that name; ``distribution:DWS``, where several offer such a name; else the
dotted path. Files of before have the class's name alone.
"""

from __future__ import annotations

from weightspace.entry_points import BACKBONES, offered, plugins


def name_of(cls: type) -> str:
    """What weights that are saved now call a class; those of this package, which no other may take, by name alone."""
    own = [cls.__name__] if cls.__module__.startswith("weightspace.") else []
    return [*offered(BACKBONES, cls), *own, dotted(cls)][0]


def dotted(cls: type) -> str:
    """The path by which a class can be imported."""
    return f"{cls.__module__}.{cls.__qualname__}"


def means(saved: str, cls: type) -> bool:
    """Whether saved weights that call their class ``saved`` mean this one.

    >>> class Net: pass
    >>> Net.__module__, Net.__qualname__ = "nets", "Net"
    >>> means("nets.Net", Net), means("others.Net", Net), means("DWS", Net)
    (True, False, False)
    >>> means("Net", Net), means("__main__.Net", Net)  # of before; and of a script, which is in no module
    (True, True)
    """
    if saved in (name_of(cls), dotted(cls), *offered(BACKBONES, cls)):
        return True
    module, _, name = saved.rpartition(".")
    if not module:
        return saved == cls.__name__ and saved not in plugins(BACKBONES)
    return "__main__" in (module, cls.__module__) and name == cls.__qualname__
