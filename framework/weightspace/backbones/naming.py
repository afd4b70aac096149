"""Unambiguous names of backbone classes in files of saved weights.

The name is ``DWS`` if one distribution has an entry point of that name, ``distribution:DWS`` if several do, else the
dotted path. Files of earlier versions contain only the name of the class.
"""

from __future__ import annotations

from weightspace.entry_points import BACKBONES, offered, plugins


def name_of(cls: type) -> str:
    """The name of a class in weights that are saved now; for classes of this package, just the class's name."""
    own = [cls.__name__] if cls.__module__.startswith("weightspace.") else []
    return [*offered(BACKBONES, cls), *own, dotted(cls)][0]


def dotted(cls: type) -> str:
    """The dotted path from which a class can be imported."""
    return f"{cls.__module__}.{cls.__qualname__}"


def means(saved: str, cls: type) -> bool:
    """Whether the name ``saved`` in a file of weights refers to this class.

    >>> class Net: pass
    >>> Net.__module__, Net.__qualname__ = "nets", "Net"
    >>> means("nets.Net", Net), means("others.Net", Net), means("DWS", Net)
    (True, False, False)
    >>> means("Net", Net), means("__main__.Net", Net)  # of earlier versions; and of a script
    (True, True)
    """
    if saved in (name_of(cls), dotted(cls), *offered(BACKBONES, cls)):
        return True
    module, _, name = saved.rpartition(".")
    if not module:
        return saved == cls.__name__ and saved not in plugins(BACKBONES)
    return "__main__" in (module, cls.__module__) and name == cls.__qualname__
