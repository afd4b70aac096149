"""The parser of the commands that train, validate, test and predict."""

from __future__ import annotations

from typing import Any

import jsonargparse.typing
import torch
from lightning.pytorch.cli import LightningArgumentParser

from weightspace.cli import class_paths, interpolation
from weightspace.cli.parser import Parser

class_paths.install()
interpolation.install()
jsonargparse.typing.register_type(torch.device)  # type of an argument of Lightning's StochasticWeightAveraging


class RunParser(Parser, LightningArgumentParser):
    """The parser of LightningCLI with the error messages of ``Parser``."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"parser_mode": "omegaconf+", **kwargs})
