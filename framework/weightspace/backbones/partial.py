"""A backbone class with bound arguments, before the architecture is known."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any

from weightspace.errors import ConfigError
from weightspace.spec import NetworkSpec


@dataclass(frozen=True, repr=False)
class BackbonePartial:
    """A backbone class with bound arguments, called with spec and out_dim; see ``Backbone.partial``.

    Args:
        cls: the class.
        arguments: arguments of its constructor by name, without spec and out_dim.

    Raises:
        ConfigError: an argument is unknown or missing.
    """

    cls: type[Any]  # a backbone's, whose module imports this one
    arguments: dict[str, Any]

    def __post_init__(self) -> None:
        signature = inspect.signature(self.cls.__init__)
        try:
            signature.bind(None, None, None, **self.arguments)  # self, spec and out_dim come first
        except TypeError as error:
            raise ConfigError(
                f"{self!r}: {error}; {self.cls.__name__}({_parameters(signature)}), of which spec and out_dim come "
                "from the data"
            ) from error

    def __call__(self, spec: NetworkSpec, out_dim: int) -> Any:
        """Builds the backbone for networks of this architecture, with a result of this length."""
        return self.cls(spec, out_dim, **self.arguments)

    def __repr__(self) -> str:
        arguments = ", ".join(f"{name}={value!r}" for name, value in self.arguments.items())
        return f"{self.cls.__name__}.partial({arguments})"


def _parameters(signature: inspect.Signature) -> str:
    """Formats the parameters after the first with their defaults: "spec, out_dim, hidden=16"."""
    _, *parameters = signature.parameters.values()
    return ", ".join(p.name if p.default is p.empty else f"{p.name}={p.default!r}" for p in parameters)
