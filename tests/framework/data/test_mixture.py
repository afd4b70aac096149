"""Several zoos at once: the order of batches, processes, resuming, and which zoos are refused."""

from __future__ import annotations

import json
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
import weightspace as ws
from torch import nn
from warm import WarmCommand
from weightspace.backbones import DWS, GNN, MLP
from weightspace.batch import WeightBatch
from weightspace.callbacks import standard_callbacks
from weightspace.data import ZooDataModule
from weightspace.data.mixed_batches import MixedSampler
from weightspace.data.mixture import Mixture
from weightspace.data.sampling import BatchSampler, PairSampler
from weightspace.errors import ConfigError
from weightspace.runs.checkpoint_io import read_checkpoint
from weightspace.runs.folder import RunFolder
from weightspace.tasks import ContrastiveTask, SupervisedTask
from weightspace.zoo import Zoo
from weightspace.zoo.header import ZooHeader
from weightspace.zoo.writer import ZooWriter

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*does not have many workers",
    "ignore:.*no last checkpoint available",
    "ignore:.*smaller than the logging interval",
)
QUIET: dict[str, Any] = {
    "accelerator": "cpu", "logger": False, "enable_progress_bar": False, "enable_model_summary": False,
}  # fmt: skip
SMALL = {"hidden": 4, "layers": 1}


def samplers(lengths: list[int], rank: int = 0, world: int = 1, seed: int = 3, size: int = 8) -> MixedSampler:
    return MixedSampler([BatchSampler(length, size, True, seed, rank, world) for length in lengths])


def place(row: int, lengths: list[int]) -> int:
    return next(part for part in range(len(lengths)) if row < sum(lengths[: part + 1]))


@pytest.mark.parametrize("lengths", [[60, 41], [7, 100, 9], [8, 8]])
@pytest.mark.parametrize("world", [1, 2, 3])
def test_each_row_is_in_one_batch_and_each_batch_is_of_one_zoo(lengths: list[int], world: int) -> None:
    shares = [samplers(lengths, rank, world) for rank in range(world)]
    orders = []
    for epoch in range(2):
        for sampler in shares:
            sampler.set_epoch(epoch)
        batches = list(zip(*shares, strict=True))  # every process has as many
        assert all(len(sampler) == len(batches) for sampler in shares)
        assert sorted(row for batch in batches for _, rows in batch for row in rows.tolist()) == list(
            range(sum(lengths))
        )
        for expected, batch in enumerate(batches):
            assert {number for number, _ in batch} == {expected}
            rows = torch.cat([rows for _, rows in batch]).tolist()
            assert len({place(row, lengths) for row in rows}) == 1, "processes are at one zoo at a time"
            for sampler in shares:
                assert sampler.sizes(expected) == [len(rows) for _, rows in batch]
        orders.append([place(int(rows[0]), lengths) for batch in batches for _, rows in batch[:1]])
        again = samplers(lengths, 0, world)
        again.set_epoch(epoch)
        assert all(torch.equal(a[0][1], b[1]) for a, b in zip(batches, again, strict=True))
    if min(lengths) > 8 * world:
        assert orders[0] != sorted(orders[0]), "the zoos are mixed"
    other = samplers(lengths, 0, world, seed=4)
    assert [rows.tolist() for _, rows in other] != [rows.tolist() for _, rows in samplers(lengths, 0, world)]


def test_a_pass_that_begins_late_is_the_end_of_a_whole_one() -> None:
    whole, late = samplers([60, 41]), samplers([60, 41])
    late.begin = 5
    end = list(whole)[5:]
    assert [number for number, _ in late] == [number for number, _ in end]
    assert all(torch.equal(a, b) for (_, a), (_, b) in zip(late, end, strict=True))
    assert whole.whole == 8


def test_pairs_of_several_zoos() -> None:
    views = [torch.tensor([2, 3, 2, 2, 4]), torch.tensor([2] * 9)]
    sampler = MixedSampler([PairSampler(part, "views", 4, True, 0) for part in views])
    objects = torch.cat([torch.repeat_interleave(torch.arange(5), views[0]), 5 + torch.arange(9).repeat_interleave(2)])
    pairs = torch.cat([rows for _, rows in sampler])
    assert sorted(objects[pairs[:, 0]].tolist()) == list(range(14))
    assert torch.equal(objects[pairs[:, 0]], objects[pairs[:, 1]])
    assert (pairs[:, 0] != pairs[:, 1]).all()


def test_batches_are_the_networks_of_the_zoos(width_zoos: list[Path]) -> None:
    zoos = [Zoo(path) for path in width_zoos[:2]]
    data = ZooDataModule(width_zoos[:2], batch_size=7, internal_test=True, memory_gb=0)
    assert data.spec == zoos[0].spec
    seen: Counter[tuple[int, ...]] = Counter()
    for number, batch in enumerate(data.train_dataloader()):
        assert batch.index == number
        zoo = next(zoo for zoo in zoos if zoo.spec == batch.spec)
        known = {place: row for row, place in enumerate(zip(zoo.objects.tolist(), zoo.views.tolist(), strict=True))}
        places = list(zip(batch.objects.tolist(), batch.views.tolist(), strict=True))
        rows = torch.tensor([known[place] for place in places])
        assert torch.equal(batch.params, zoo.params(rows))
        assert torch.equal(batch.targets, zoo.targets[rows])
        seen.update((zoos.index(zoo), *place) for place in places)
    assert len(seen) == 60 * 2 + 60
    assert set(seen.values()) == {1}
    for loader, count in (
        (data.val_dataloader(), 40),
        (data.test_dataloader()[0], 40),
        (data.test_dataloader()[1], 120),
    ):
        batches = list(loader)
        assert sum(map(len, batches)) == count
        assert {batch.spec for batch in batches} == {zoo.spec for zoo in zoos}
    assert [batch.spec for batch in data.training_batches(5)] == [zoo.spec for zoo in zoos]
    assert [len(batch) for batch in data.evaluation_batches("val", 5)] == [5, 5]
    assert "180 training networks" in repr(data)


@pytest.mark.filterwarnings("ignore:This DataLoader will create")  # where there is one core
def test_worker_processes_load_the_same(width_zoos: list[Path]) -> None:
    here, there = (
        ZooDataModule(width_zoos[:2], batch_size=16, num_workers=workers, memory_gb=0).train_dataloader()
        for workers in (0, 2)
    )
    for one, other in zip(here, there, strict=True):
        assert one.spec == other.spec
        assert torch.equal(one.params, other.params)


def test_a_list_of_one_is_that_zoo(width_zoos: list[Path]) -> None:
    one, other = (ZooDataModule(zoo, batch_size=7, seed=3) for zoo in (width_zoos[:1], width_zoos[0]))
    for a, b in zip(one.train_dataloader(), other.train_dataloader(), strict=True):
        assert torch.equal(a.params, b.params)


def test_labels_are_of_the_same_objects_in_every_zoo(width_zoos: list[Path]) -> None:
    data = ZooDataModule(width_zoos[:2], label_fraction=0.5, n_views=1, batch_size=8)
    objects: dict[Any, set[int]] = {}
    for batch in data.train_dataloader():
        objects.setdefault(batch.spec, set()).update(batch.objects.tolist())
    first, second = objects.values()
    assert first == second
    assert 20 < len(first) < 40


def test_an_object_that_one_zoo_lacks_changes_no_other_label(tmp_path: Path) -> None:
    objects = torch.arange(40)
    whole, part = (ws.NetworkSpec((2, width, 1)) for width in (3, 4))
    zoos = [
        ws.write_zoo(tmp_path / str(number), torch.randn(len(kept), spec.num_params), spec, targets=kept % 2,
                     objects=kept, splits=["train"] * len(kept))
        for number, (spec, kept) in enumerate([(whole, objects), (part, objects[objects != 6])])
    ]  # fmt: skip
    data = ZooDataModule(zoos, label_fraction=0.5, batch_size=8)
    found: dict[Any, set[int]] = {}
    for batch in data.train_dataloader():
        found.setdefault(batch.spec, set()).update(batch.objects.tolist())
    assert len(found[whole]) == 20
    assert found[part] == found[whole] - {6}


def test_networks_of_unseen_widths_are_tested(width_zoos: list[Path]) -> None:
    data = ZooDataModule(width_zoos[:2], test_zoo=width_zoos[2], n_views=1)
    (loader,) = data.test_dataloader()
    (batch,) = list(loader)
    assert (batch.spec.widths, len(batch)) == ((2, 5, 5, 1), 20)
    assert {b.spec.widths for b in data.val_dataloader()} == {(2, 8, 8, 1), (2, 12, 6, 1)}
    assert data.evaluation_batch("test", 5).spec == batch.spec
    several = ZooDataModule(width_zoos[0], test_zoo=width_zoos[1:])
    assert sum(map(len, several.test_dataloader()[0])) == 40


def altered(path: Path, zoo: Zoo, columns: dict[str, Any] | None = None, **header: Any) -> Path:
    """The networks of a zoo with another header, or other columns."""
    there = {
        "target": zoo.targets, "object": zoo.objects, "view": zoo.views, "split": zoo.splits, "quality": zoo.quality,
        "params": zoo.params(torch.arange(len(zoo))),
    }  # fmt: skip
    said = {"spec": zoo.spec, "target": zoo.header.target, "provenance": zoo.header.provenance, **header}
    told = ZooHeader(said["spec"], said["target"], zoo.header.quality, said["provenance"], [])
    with ZooWriter(path, {}, told) as writer:
        writer.write({**there, **(columns or {})}, [])
        writer.finish()
    return path


@pytest.mark.parametrize("option", ["zoo", "test_zoo"])
def test_zoos_that_differ_in_more_are_refused(width_zoos: list[Path], tmp_path: Path, option: str) -> None:
    zoo = Zoo(width_zoos[0])
    names = zoo.header.target["names"]
    others = {
        "omega": altered(tmp_path / "omega", zoo, spec=replace(zoo.spec, omega=11.0)),
        r"activation sine and tanh": altered(
            tmp_path / "tanh", zoo, spec=replace(zoo.spec, activation="tanh", omega=1.0)
        ),
        "targets the classes": altered(tmp_path / "names", zoo, target={"kind": "class", "names": [*names[1:], "ten"]}),
    }
    for message, other in others.items():
        given = {"zoo": [width_zoos[0], other]} if option == "zoo" else {"zoo": width_zoos[0], "test_zoo": other}
        with pytest.raises(ConfigError, match=f"{zoo.path} and {other} cannot be used together: .*{message}"):
            ZooDataModule(**given)


def test_objects_are_in_one_split_of_all_zoos(width_zoos: list[Path], tmp_path: Path) -> None:
    zoo = Zoo(width_zoos[0])
    turned = {"split": 2 - zoo.splits}  # test is for training, and training for test
    other = altered(tmp_path / "turned", zoo, turned)
    with pytest.raises(ConfigError, match="objects, such as .* are for training in .* and for test in .*turned"):
        ZooDataModule([width_zoos[0], other])
    with pytest.raises(ConfigError, match="are for training in .* and for test in .*turned"):
        ZooDataModule(width_zoos[0], test_zoo=other)
    said = {**zoo.header.provenance, "source": {**zoo.header.provenance["source"], "digest": "0" * 64}}
    elsewhere = altered(tmp_path / "other", zoo, turned, provenance=said)
    ZooDataModule(width_zoos[0], test_zoo=elsewhere)  # numbers of objects mean others there


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"folds": 5, "fold": 0}, "data.folds divides the objects of one zoo, and data.zoo has 2"),
        (
            {"augmentations": [{"mixup_aligned": {"stored": True}}]},
            "a stored alignment is that of one zoo, and data.zoo",
        ),
        ({"augmentations": ["positive_scale"]}, "valid for relu networks only"),
        ({"positives": "views", "n_views": 1}, "needs two views of every training object"),
    ],
)
def test_what_needs_one_zoo_says_so(width_zoos: list[Path], options: dict[str, Any], message: str) -> None:
    with pytest.raises(Exception, match=message):
        ZooDataModule(width_zoos[:2], **options)
    with pytest.raises(ConfigError, match="are the same zoo: give each once"):
        ZooDataModule([width_zoos[0], width_zoos[0]])
    with pytest.raises(ConfigError, match="data.zoo is an empty list"):
        ZooDataModule([])
    with pytest.raises(ConfigError, match="data.folds tests objects of data.zoo, and data.test_zoo is another one"):
        ZooDataModule(width_zoos[0], test_zoo=width_zoos[1], folds=5, fold=0)


def test_a_backbone_of_one_width_is_refused_before_training(width_zoos: list[Path]) -> None:
    message = r"MLP, as it is given, reads networks of one architecture.*has 2-8-8-1 sine.*has 2-12-6-1 sine"
    for options in ({"zoo": width_zoos[:2]}, {"zoo": width_zoos[0], "test_zoo": width_zoos[1]}):
        with pytest.raises(ConfigError, match=message):
            SupervisedTask(MLP.partial(hidden=4)).build_for(ZooDataModule(**options))


def test_a_backbone_that_was_built_for_another_width_goes_on(width_zoos: list[Path]) -> None:
    data = ZooDataModule(width_zoos[:2])
    backbone = DWS(Zoo(width_zoos[2]).spec, len(data.class_names), **SMALL)
    task = SupervisedTask(backbone).build_for(data)
    assert task.backbone is backbone


class Cut(pl.Callback):
    """Ends a run within its second epoch, as a failure does."""

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        if trainer.current_epoch == 1 and batch_idx == 7:
            raise RuntimeError("cut")


MIXED = ["sign_flip", {"mixup_aligned": {"alpha": 0.4}}, "mixup"]


@pytest.mark.parametrize("kind", ["classes", "pairs"])
def test_a_resumed_run_ends_as_one_that_was_not_cut(width_zoos: list[Path], tmp_path: Path, kind: str) -> None:
    def fit(folder: Path, *others: pl.Callback) -> None:
        callbacks = [*others, *standard_callbacks(folder, every_n_steps=3)]
        if kind == "classes":
            task: Any = SupervisedTask(GNN.partial(head=8, **SMALL))
            data = ZooDataModule(width_zoos[:2], batch_size=16, augmentations=MIXED)
        else:
            task = ContrastiveTask(GNN.partial(head=8, **SMALL), embedding=8, projection=4, hidden=8)
            data = ZooDataModule(width_zoos[:2], batch_size=12, augmentations=["gaussian_noise"], positives="views")
        pl.seed_everything(0)
        pl.Trainer(max_epochs=2, callbacks=callbacks, **QUIET).fit(task, data, ckpt_path="last")

    with pytest.raises(RuntimeError, match="cut"):
        fit(tmp_path / "cut", Cut())
    fit(tmp_path / "cut")
    fit(tmp_path / "whole")
    runs = [RunFolder(tmp_path / name) for name in ("cut", "whole")]
    cut, whole = (read_checkpoint(run.checkpoint("last")) for run in runs)
    assert cut["global_step"] == whole["global_step"]
    assert all(torch.equal(cut["state_dict"][name], value) for name, value in whole["state_dict"].items())


def test_a_checkpoint_knows_its_zoos(width_zoos: list[Path]) -> None:
    state = ZooDataModule(width_zoos[:2]).state_dict()
    ZooDataModule(width_zoos[:2]).load_state_dict(state)
    assert state["zoo"] not in [Zoo(path).digest for path in width_zoos]
    assert state["zoo"] != Mixture([Zoo(path) for path in width_zoos[1::-1]]).digest


class Recorder(pl.LightningModule):
    """Keeps which networks it is given, by epoch: width, object and view."""

    def __init__(self, out: str) -> None:
        super().__init__()
        self.weight, self.out = nn.Parameter(torch.zeros(1)), out
        self.seen: dict[str, list[list[int]]] = {}
        self.order: list[int] = []

    def note(self, name: str, batch: WeightBatch) -> None:
        width = torch.full_like(batch.objects, batch.spec.widths[1])
        self.seen.setdefault(name, []).extend(torch.stack([width, batch.objects, batch.views], dim=1).tolist())

    def training_step(self, batch: WeightBatch, batch_idx: int) -> torch.Tensor:
        assert self.trainer.train_dataloader.sampler.sizes(batch_idx)[self.global_rank] == len(batch)
        self.order.append(batch.spec.widths[1])
        self.note(f"train {self.current_epoch}", batch)
        return self.weight.sum()

    def validation_step(self, batch: WeightBatch, batch_idx: int) -> None:
        self.note(f"val {self.current_epoch}", batch)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 0.1)

    def teardown(self, stage: str) -> None:
        (Path(self.out) / f"{self.global_rank}.json").write_text(json.dumps([self.seen, self.order]))


def fit_in_two(out: str, zoos: list[str]) -> None:
    trainer = pl.Trainer(
        devices=2, strategy="ddp_fork", enable_checkpointing=False, max_epochs=2, num_sanity_val_steps=0,
        **QUIET,
    )  # fmt: skip
    trainer.fit(Recorder(out), ZooDataModule(zoos, batch_size=7, eval_batch_size=7))


def test_two_processes_visit_every_network_once_and_are_at_one_zoo(width_zoos: list[Path], tmp_path: Path) -> None:
    with WarmCommand(str(tmp_path), *map(str, width_zoos[:2]), script=__file__) as running:
        _, errors = running.communicate()
    assert running.returncode == 0, errors
    (one, first), (other, second) = (json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(2))
    assert first == second, "processes are at the same zoo in each step"
    for name, count in {"train 0": 300, "train 1": 300, "val 0": 40, "val 1": 40}.items():
        visits = Counter(map(tuple, one[name] + other[name]))
        assert (len(visits), set(visits.values())) == (count, {1}), name


if __name__ == "__main__":
    torch.set_num_threads(1)
    fit_in_two(sys.argv[1], sys.argv[2:])
