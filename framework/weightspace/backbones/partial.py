"""A class of backbones with its arguments, before the architecture is known."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from weightspace.errors import ConfigError
from weightspace.spec import NetworkSpec

if TYPE_CHECKING:
    from weightspace.backbones.base import Backbone


@dataclass(frozen=True, repr=False)
class BackbonePartial:
    """A class of backbones with its arguments, which is called with spec and out_dim; ``Backbone.partial`` makes one.

    Args:
        cls: the class.
        arguments: of its constructor, by name, without spec and out_dim.

    Raises:
        ConfigError: an argument that the constructor does not take, or one that it needs is missing.
    """

    cls: type[Backbone]
    arguments: dict[str, Any]

    def __post_init__(self) -> None:
        signature = inspect.signature(self.cls.__init__)
        try:
            signature.bind(None, None, None, **self.arguments)  # self, spec and out_dim come first
        except TypeError as error:
            _, *parameters = signature.parameters.values()
            raise ConfigError(
                f"{self!r}: {error}; {self.cls.__name__}({', '.join(map(str, parameters))}), of which spec and out_dim "
                "come from the data"
            ) from error

    def __call__(self, spec: NetworkSpec, out_dim: int) -> Backbone:
        """The backbone for networks of this architecture, with a result of this length."""
        return self.cls(spec, out_dim, **self.arguments)

    def __repr__(self) -> str:
        arguments = ", ".join(f"{name}={value!r}" for name, value in self.arguments.items())
        return f"{self.cls.__name__}.partial({arguments})"
