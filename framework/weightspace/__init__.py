"""Networks that learn from the weights of other networks.

``import weightspace as ws`` gives the names of ``__all__``. Each is imported when it is first used, so that importing
the package loads neither torch nor lightning.

Public are these names, and what docs/plugins.md describes for authors of plugins. Everything else may change in any
release; packages of which nothing is public say at the beginning that they are internal.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from weightspace.version import __version__

if TYPE_CHECKING:  # for type checkers and editors, which do not run __getattr__
    from weightspace.augment import Augmentation, augmentation
    from weightspace.backbones import (
        DWS,
        GNN,
        MLP,
        Backbone,
        Canonical,
        GraphTransformer,
        GridCNN,
        PhaseGNN,
        Probe,
        ScaleGNN,
        Statistics,
        embed,
        load_backbone,
        save_backbone,
    )
    from weightspace.batch import WeightBatch
    from weightspace.callbacks import standard_callbacks
    from weightspace.data import ZooDataModule
    from weightspace.fitting import fit_zoo
    from weightspace.importing import export_zoo, import_zoo
    from weightspace.module_spec import spec_of
    from weightspace.network import evaluate
    from weightspace.sources import Source
    from weightspace.spec import NetworkSpec
    from weightspace.studies.merge import merge
    from weightspace.studies.neighbours import neighbours
    from weightspace.symmetry import GroupElement, align, canonicalise
    from weightspace.tasks import (
        ContrastiveTask,
        EditTask,
        FineTuneTask,
        ReconstructionTask,
        RegressionTask,
        SupervisedTask,
        Task,
        predict,
    )
    from weightspace.testing import check_augmentation, check_backbone, check_source, check_task
    from weightspace.zoo import Zoo, align_zoo, write_zoo

__all__ = [  # noqa: RUF022 - plainly sorted, which is easier to look up in than ruff's order by kind
    "Augmentation",
    "Backbone",
    "Canonical",
    "ContrastiveTask",
    "DWS",
    "EditTask",
    "FineTuneTask",
    "GNN",
    "GraphTransformer",
    "GridCNN",
    "GroupElement",
    "MLP",
    "NetworkSpec",
    "PhaseGNN",
    "Probe",
    "ReconstructionTask",
    "RegressionTask",
    "ScaleGNN",
    "Source",
    "Statistics",
    "SupervisedTask",
    "Task",
    "WeightBatch",
    "Zoo",
    "ZooDataModule",
    "__version__",
    "align",
    "align_zoo",
    "augmentation",
    "canonicalise",
    "check_augmentation",
    "check_backbone",
    "check_source",
    "check_task",
    "embed",
    "evaluate",
    "export_zoo",
    "fit_zoo",
    "import_zoo",
    "load_backbone",
    "merge",
    "neighbours",
    "predict",
    "save_backbone",
    "spec_of",
    "standard_callbacks",
    "write_zoo",
]

#: Public names by the package or module, below this one, that they are imported from.
_HOMES = {
    "augment": "Augmentation augmentation",
    "backbones": "Backbone Canonical DWS GNN GraphTransformer GridCNN MLP PhaseGNN Probe ScaleGNN Statistics "
    "embed load_backbone save_backbone",
    "batch": "WeightBatch",
    "callbacks": "standard_callbacks",
    "data": "ZooDataModule",
    "fitting": "fit_zoo",
    "importing": "export_zoo import_zoo",
    "network": "evaluate",
    "sources": "Source",
    "spec": "NetworkSpec",
    "module_spec": "spec_of",
    "studies.merge": "merge",
    "studies.neighbours": "neighbours",
    "symmetry": "GroupElement align canonicalise",
    "tasks": "ContrastiveTask EditTask FineTuneTask ReconstructionTask RegressionTask SupervisedTask Task predict",
    "testing": "check_augmentation check_backbone check_source check_task",
    "zoo": "Zoo align_zoo write_zoo",
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    """Imports a public name when it is first used.

    Raises:
        AttributeError: there is no such name; gives the closest match.
    """
    if name not in _HOME_OF:
        from weightspace.errors import closest

        raise AttributeError(f"module 'weightspace' has no attribute {name!r}: {closest(name, __all__)}")
    found = getattr(import_module(f"weightspace.{_HOME_OF[name]}"), name)
    globals()[name] = found
    import_module("weightspace.zoo").Zoo.picture = _draw  # with any name, since functions give zoos, too
    return found


def __dir__() -> list[str]:
    return list(__all__)  # what completion offers in a notebook


def _draw(zoo: Zoo) -> bytes | None:
    """The picture of a zoo in a notebook; what draws is imported with the first one."""
    from weightspace.figures.notebook import notebook_picture

    return notebook_picture(zoo)
