"""The base class of tasks: a LightningModule that is built for a zoo, with steps, metrics and optimiser."""

from __future__ import annotations

import math
from typing import Any, ClassVar, cast

import lightning.pytorch as pl
from lightning.pytorch.utilities import rank_zero_info
from torch import Tensor, nn
from torch.optim.lr_scheduler import ReduceLROnPlateau
from torchmetrics import Metric

from weightspace.backbones.base import Backbone
from weightspace.backbones.compiling import check_compiler
from weightspace.backbones.factory import BackboneFactory, backbone_factory, build_backbone
from weightspace.batch import WeightBatch
from weightspace.data import ZooDataModule
from weightspace.data.sampling import BatchSampler
from weightspace.data.targets import Target
from weightspace.distributed import share, world_size
from weightspace.errors import ConfigError, ZooError
from weightspace.runs.loops import clips_unscaled, forget_metrics, has_trainer
from weightspace.spec import NetworkSpec
from weightspace.tasks.buffers import leave_constant_buffers
from weightspace.tasks.learned import compared
from weightspace.tasks.means import WeightedMean
from weightspace.tasks.mode import KEY as MODE
from weightspace.tasks.mode import Compile, Mode, check_compile, saved_mode
from weightspace.tasks.module import ZooModule
from weightspace.tasks.optim import LRSchedulerCallable, Optimisation, OptimizerCallable, Role
from weightspace.tasks.settling import settle
from weightspace.tasks.widths import stages_by_width

#: Names of the test sets in metrics: unseen objects, and unseen views of training objects.
TEST_NAMES = ("test", "internal_test")
#: Stages for which there are metrics.
STAGES = ("train", "val", *TEST_NAMES)


class Task(ZooModule):
    """A LightningModule that is built for the zoo of its trainer's data module: a template for tasks.

    A subclass declares what its ``head`` predicts and which metric is its ``monitor``, and implements ``loss``. It may
    override ``metrics``; ``build`` and ``prepare``, if it has more modules than the backbone; and the steps.

    Args:
        backbone: class of the network with its arguments (``DWS.partial(hidden=16)``); architecture and length of the
            result come from the zoo. Or a backbone that was built for this architecture and length: it is trained from
            its current weights, and its normaliser is fitted to the training networks.
        learning_rate: peak learning rate of AdamW, > 0.
        weight_decay: weight decay of AdamW, for matrices only, >= 0.
        warmup: fraction of all steps with linear warm-up, before the cosine, in [0, 1).
        compile: whether training steps are compiled (``torch.compile``): "auto" compiles if the run is long enough to
            repay it and a compiler works, see ``compile_pays`` of ``Backbone``. A resumed run keeps its mode.
        optimizer: makes an optimiser from the parameters, instead of AdamW.
        scheduler: makes a schedule from the optimiser, instead of warm-up and cosine.
        scheduler_interval: whether ``scheduler`` is stepped after each "epoch" or "step".

    Class attributes:
        head: kind of target that the model predicts, "class" or "value"; None: it has no head.
        pairs: whether it learns from pairs of batches, see ``data.positives``; a constructor may decide it.
        monitor, monitor_mode: the metric that chooses the best checkpoint, and whether "max" or "min" is better.
        artefact_name: name of the file of the trained network, without its suffix.

    Raises:
        ConfigError: an argument is out of range, of another type, or would be ignored because of another one.
    """

    set_by_constructor = "optimisation"

    monitor: ClassVar[str]
    monitor_mode: ClassVar[str] = "max"
    artefact_name: ClassVar[str] = "backbone"

    def __init__(
        self,
        backbone: BackboneFactory,
        learning_rate: float = 2e-3,
        weight_decay: float = 1e-2,
        warmup: float = 0.1,
        compile: Compile = "auto",
        optimizer: OptimizerCallable | None = None,
        scheduler: LRSchedulerCallable | None = None,
        scheduler_interval: str = "epoch",
    ) -> None:
        super().__init__()
        self.make_backbone = backbone_factory(backbone, f"{type(self).__name__}: backbone")
        self.optimisation = Optimisation(learning_rate, weight_decay, warmup, optimizer, scheduler, scheduler_interval)
        self.compile_backbone = check_compile(compile)
        #: how this fit trains, once that is settled; None before
        self.run_mode: Mode | None = None
        self._began: str | None = None
        #: whether metrics leave out networks whose results are not finite; set by callbacks that report these networks
        self.leaves_out = False
        #: whether means over a training epoch leave out steps that are not finite; set by the callback that skips these
        self.skips_steps = False
        self._plateau_stepped = False
        self._means = nn.ModuleDict()
        self._metrics = nn.ModuleDict()
        self._by_width: dict[NetworkSpec, str] = {}

    def build(self, spec: NetworkSpec) -> None:
        """Builds the modules for networks of this architecture, also when a checkpoint is loaded.

        Default: ``self.backbone``, with a result of length ``out_dim``. Sizes depend only on these two and the
        arguments; statistics of the data are set in ``prepare``.
        """
        self.backbone = build_backbone(self.make_backbone, spec, self.out_dim)

    def prepare(self, data: ZooDataModule) -> None:
        """Sets in the modules what depends on the zoo. Default: the backbone's normaliser, and stored references."""
        try:
            for module in self.backbone.modules():
                if isinstance(module, Backbone) and (used := module.stored_alignment):
                    module.set_reference(data.zoo.alignment(used).reference)
        except ZooError:
            if not has_trainer(self) or self.trainer.state.fn == "fit":
                raise
            return  # a test has reference and statistics of the checkpoint; without one, the backbone raises an error
        self.backbone.fit_to_widths(data.training_batches())

    def networks_per_pass(self, batch_size: int) -> int:
        """Networks that go through the backbone together in a training step. Default: those of the batch."""
        return batch_size

    def metrics(self, stage: str) -> dict[str, Metric]:
        """Makes the metrics of a stage by name; they are updated with what ``compared`` returns.

        They are logged as "stage/name".

        Args:
            stage: "train" (with augmentations), "val", "test" or "internal_test".
        """
        return {}

    def loss(self, results: Tensor, batch: WeightBatch) -> Tensor:
        """The loss that training minimises, as a mean over a batch, whose targets may be mixed, for instance by MixUp.

        Args:
            results: results of ``self(batch)``: (B, K) logits, or (B, T) numbers.
            batch: the networks with their targets.
        """
        raise NotImplementedError(f"{type(self).__name__} has no loss: implement loss(results, batch)")

    def role(self, name: str) -> Role:
        """The optimiser group of the parameter of this name, and the factor of its learning rate."""
        return "", 1.0

    def check(self, data: ZooDataModule, trainer: pl.Trainer) -> None:
        """Raises ConfigError if the task cannot learn from the data, before anything is built or written."""
        super().check(data, trainer)
        if self.compile_backbone is True:
            check_compiler(trainer.strategy.root_device.type)
        if trainer.max_epochs == -1 and trainer.max_steps == -1 and self.optimisation.scheduler is None:
            raise ConfigError(
                "trainer.max_epochs -1 trains without an end, but the learning rate schedule needs the number of "
                "steps: give trainer.max_epochs or trainer.max_steps; trainer.max_time may end the run earlier"
            )

    def forward(self, batch: WeightBatch) -> Tensor:
        """Returns the backbone's result (B, out_dim)."""
        results: Tensor = self.backbone(batch)
        return results

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        """Computes the loss of a training batch and logs its metrics."""
        results = self(batch)
        loss = self.loss(results, batch)
        self.log_training_loss(loss, len(batch))
        self.measure("train", results, batch)
        sizes = self.sizes(batch_idx, len(batch))
        return loss * share(len(batch), loss, None if sizes is None else sum(sizes))

    def sizes(self, batch_idx: int, own: int) -> list[int] | None:
        """Networks, or pairs, of each process in a training batch, as the zoo's sampler has divided it.

        Args:
            batch_idx: number of the batch in its epoch.
            own: those of this process.

        Returns:
            None in a single process, and for other loaders, of which processes have to tell each other.

        Raises:
            ConfigError: this process's part has another size than in the sampler.
        """
        sampler = None if world_size() == 1 else getattr(self.trainer.train_dataloader, "sampler", None)
        if not isinstance(sampler, BatchSampler):
            return None
        sizes = sampler.sizes(batch_idx)
        if sizes[sampler.rank] != own:
            raise ConfigError(
                f"batch {batch_idx} has {own} networks, and {sizes[sampler.rank]} were loaded: with several processes, "
                "augmentations must not change their number"
            )
        return sizes

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        """Logs loss and metrics of a validation batch."""
        self._evaluate("val", batch)

    @classmethod
    def has_test(cls) -> bool:
        """Whether it can be tested: a task without targets, such as contrastive pretraining, cannot."""
        return (cls.test_step, cls.loss) != (Task.test_step, Task.loss)

    def test_step(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> None:
        """Logs loss and metrics of a batch of the external or internal test, and metrics of its width apart."""
        first, *others = self.test_stages(batch, dataloader_idx)
        results, batch = self._evaluate(first, batch)
        for stage in others:
            self.measure(stage, results, batch)

    def test_stages(self, batch: WeightBatch, dataloader_idx: int) -> list[str]:
        """The names of the tests that a batch belongs to: the external or internal one, and that of its width."""
        own = self._by_width.get(batch.spec) if dataloader_idx == 0 else None
        return [TEST_NAMES[dataloader_idx], *([] if own is None else [own])]

    @property
    def predicted(self) -> Target | None:
        """Kind and names of what ``predict_step`` returns; None: it predicts nothing. Default: those of the head."""
        return self.learned

    def predict_step(self, batch: WeightBatch, batch_idx: int, dataloader_idx: int = 0) -> dict[str, Any]:
        """Returns object, view and result (class probabilities or numbers) of each network; of one zoo per loader."""
        results = self(batch)
        result = {"probability": results.softmax(1)} if self.head == "class" else {"prediction": results}
        return {"object": batch.objects, "view": batch.views, **result}

    def _evaluate(self, stage: str, batch: WeightBatch) -> tuple[Tensor, WeightBatch]:
        results, batch = self.measured(batch)
        self.log_means({f"{stage}/loss": self.loss(results, batch)}, len(batch), add_dataloader_idx=False)
        self.measure(stage, results, batch)
        return results, batch

    def measured(self, batch: WeightBatch) -> tuple[Tensor, WeightBatch]:
        """Returns results and batch without the networks that are left out of validation and test."""
        results: Tensor = self(batch)
        if not self.leaves_out:
            return results, batch
        finite = results.flatten(1).isfinite().all(1)
        return results[finite], batch.select(finite)

    def measure(self, stage: str, results: Tensor, batch: WeightBatch) -> None:
        """Updates and logs the metrics of a stage with a batch."""
        monitor = getattr(self, "monitor", None)
        for name, metric in self.metrics_of(stage).items():
            if len(batch):
                metric.update(*compared(results, batch))
            self.log(name, metric, on_step=False, on_epoch=True, batch_size=len(batch), prog_bar=name == monitor,
                     add_dataloader_idx=False)  # fmt: skip

    def metrics_of(self, *stages: str) -> dict[str, Metric]:
        """The metrics of the given stages, by the names under which they are logged."""
        own = tuple(f"{stage}/" for stage in stages)
        return {name: cast(Metric, metric) for name, metric in self._metrics.items() if name.startswith(own)}

    def build_metrics(self) -> None:
        """Builds the metrics. With one class there are none, since such a task needs a checkpoint with more classes."""
        stages = STAGES if self.head != "class" or self.out_dim > 1 else ()
        made = {f"{stage}/{name}": metric for stage in stages for name, metric in self.metrics(stage).items()}
        self._metrics = nn.ModuleDict(made)

    def configure_model(self) -> None:
        """Builds the modules, see ``ZooModule``, and resets metrics that an interrupted epoch may have left."""
        self._means, self._plateau_stepped = nn.ModuleDict(), False
        super().configure_model()

    def setup(self, stage: str) -> None:
        """Forgets the mode of an earlier fit."""
        super().setup(stage)
        if stage == "fit":
            self.run_mode = self._began = None

    def on_fit_start(self) -> None:
        """Settles the mode, and which buffers processes exchange, and says what should be known of the data."""
        super().on_fit_start()
        if self._has_data and (remark := self.data.remark):
            rank_zero_info(remark)
        leave_constant_buffers(self.trainer)
        self.settle_mode()

    def settle_mode(self) -> Mode:
        """Chooses once per fit, in all processes together, whether it is compiled; says so, and compiles.

        Called when the checkpoint of a resumed run has been read.

        Raises:
            ConfigError: compiling was asked for, or the resumed run began compiled, and no compiler works.
        """
        if self.run_mode is None:
            backbone, asked = getattr(self, "backbone", None), self.compile_backbone
            if isinstance(backbone, Backbone):
                self.run_mode = settle(self.trainer, backbone, asked, self._began, self.networks_per_pass)
            else:
                self.run_mode = Mode(False)  # a task of one's own, with modules of its own
            if self.run_mode.reason:
                rank_zero_info(str(self.run_mode))
        return self.run_mode

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Adds the mode."""
        super().on_save_checkpoint(checkpoint)
        if self.run_mode is not None:
            checkpoint[MODE] = self.run_mode.name

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Reads the mode, if a run is resumed."""
        super().on_load_checkpoint(checkpoint)
        if has_trainer(self) and self.trainer.state.fn == "fit":
            self._began = saved_mode(checkpoint)

    def reset(self, *stages: str) -> None:
        """Resets the metrics of the given stages."""
        for metric in self.metrics_of(*stages).values():
            metric.reset()

    def on_validation_epoch_start(self) -> None:
        """Resets the metrics of validation."""
        self.reset("val")

    def on_test_epoch_start(self) -> None:
        """Resets the metrics of the tests, and makes those of each width, if several are tested."""
        self.reset(*TEST_NAMES)
        self._by_width = stages_by_width(self.data) if self._has_data else {}
        for stage in self._by_width.values():
            made = {f"{stage}/{name}": metric.to(self.device) for name, metric in self.metrics(TEST_NAMES[0]).items()}
            self._metrics.update(made)
        forget_metrics(self)

    def log_means(
        self, means: dict[str, Tensor], count: int, prog_bar: bool = False, add_dataloader_idx: bool = True
    ) -> None:
        """Logs means over the networks of a batch, combined to means over all networks of the epoch and all processes.

        Args:
            means: means by name over this process's part of the batch.
            count: number of networks in this part.
            prog_bar: whether the progress bar shows them.
            add_dataloader_idx: whether Lightning numbers the names if there are several loaders.
        """
        # by default, Lightning averages the counts of the processes and rounds down
        for name, mean in means.items():
            if name not in self._means:
                self._means[name] = WeightedMean(mean.dtype).to(mean.device)
            metric = cast(WeightedMean, self._means[name])
            metric.update(mean, count, finite=self.skips_steps and self.training)
            self.log(name, metric, on_step=False, on_epoch=True, batch_size=count, prog_bar=prog_bar,
                     add_dataloader_idx=add_dataloader_idx, metric_attribute=f"_means.{name}")  # fmt: skip

    def log_training_loss(self, loss: Tensor, count: int) -> None:
        """Logs ``train/loss``, the mean over the epoch, and ``train/loss_step``, that of this process in this step.

        Args:
            loss: mean over this process's part of the batch.
            count: number of networks in this part.
        """
        self.log_means({"train/loss": loss}, count, prog_bar=True)
        self.log("train/loss_step", loss, on_step=True, on_epoch=False, batch_size=count, prog_bar=True)

    def configure_optimizers(self) -> Any:
        """AdamW with warm-up and cosine over all steps of the run, or the given optimiser and schedule."""

        def steps() -> int:
            found = self.trainer.estimated_stepping_batches
            if not 0 <= found < math.inf:
                raise ConfigError(
                    "the learning rate falls to zero at the end of the run, and of this one no end is known: give "
                    "trainer.max_steps, or epochs of a loader that has a length, or a scheduler"
                )
            return int(found)

        monitor = getattr(self, "monitor", "val/loss")
        fused = not clips_unscaled(self.trainer)
        return self.optimisation.configure(self, steps, monitor, self.monitor_mode, self.role, fused)

    def on_train_epoch_end(self) -> None:
        """Steps a ReduceLROnPlateau before the epoch's checkpoint is written.

        Lightning does it after that, so that a run that resumes from the checkpoint would miss the step.
        """
        for config in self.trainer.lr_scheduler_configs:
            value = self.trainer.callback_metrics.get(config.monitor or "")
            if isinstance(config.scheduler, ReduceLROnPlateau) and value is not None:
                super().lr_scheduler_step(config.scheduler, value)
                self._plateau_stepped = True

    def lr_scheduler_step(self, scheduler: Any, metric: Any) -> None:
        """Steps a schedule, unless ``on_train_epoch_end`` has done it."""
        if isinstance(scheduler, ReduceLROnPlateau) and self._plateau_stepped:
            self._plateau_stepped = False
        else:
            super().lr_scheduler_step(scheduler, metric)
