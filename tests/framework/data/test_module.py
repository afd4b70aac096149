from __future__ import annotations

import pickle
import shutil
from pathlib import Path

import lightning.pytorch as pl
import pytest
import torch
import weightspace as ws
from torch import nn
from weightspace.augment import Augmentation
from weightspace.data import ZooDataModule
from weightspace.data.sampling import BatchSampler, PairSampler
from weightspace.errors import AugmentationError, ConfigError, ZooError
from weightspace.figures.augmentation import augmentation_figure
from weightspace.zoo import Zoo
from weightspace.zoo.header import ZooHeader
from weightspace.zoo.writer import ZooWriter


def epoch_rows(sampler: BatchSampler, epoch: int = 0) -> list[int]:
    sampler.set_epoch(epoch)
    return torch.cat([rows for _, rows in sampler]).tolist()


def test_an_epoch_visits_every_row_once_in_a_new_order() -> None:
    sampler = BatchSampler(100, 16, shuffle=True, seed=3)
    first, second = epoch_rows(sampler, 0), epoch_rows(sampler, 1)
    assert sorted(first) == sorted(second) == list(range(100))
    assert first != second
    assert epoch_rows(BatchSampler(100, 16, True, 3), 1) == second
    assert epoch_rows(BatchSampler(100, 16, True, 4), 1) != second
    assert [number for number, _ in sampler] == list(range(len(sampler))) == list(range(7))


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("length", [7, 96, 97, 100, 101])
@pytest.mark.parametrize("world", [2, 3])
def test_processes_share_every_batch_and_every_row_is_in_one(length: int, world: int, shuffle: bool) -> None:
    whole = list(BatchSampler(length, 16 * world, shuffle, 5))
    shares = [list(BatchSampler(length, 16, shuffle, 5, rank, world)) for rank in range(world)]
    assert len({len(share) for share in shares}) == 1, "a process would wait for the others forever"
    assert all(len(rows) for share in shares for _, rows in share)
    for rank, share in enumerate(shares):
        whole_batch = BatchSampler(length, 16, shuffle, 5, rank, world).whole
        assert {len(rows) for _, rows in share[: max(1, len(share) - 1)]} == {whole_batch}
    joined = [sorted(torch.cat([share[k][1] for share in shares]).tolist()) for k in range(len(shares[0]))]
    assert sorted(row for batch in joined for row in batch) == list(range(length))
    if length % (16 * world) not in range(1, world):  # otherwise the last rows join the batch before
        assert joined == [sorted(rows.tolist()) for _, rows in whole]


def test_pairs_are_of_one_object_and_visit_every_object_once() -> None:
    views = torch.tensor([1, 3, 2, 5])
    objects = torch.repeat_interleave(torch.arange(4), views)
    for positives, equal in (("augment", {True}), ("views", {False}), ("both", {True, False})):
        seen = set()
        for epoch in range(40):
            sampler = PairSampler(views, positives, 3, True, 0)
            sampler.set_epoch(epoch)
            pairs = torch.cat([rows for _, rows in sampler])
            assert sorted(objects[pairs[:, 0]].tolist()) == [0, 1, 2, 3]
            assert torch.equal(objects[pairs[:, 0]], objects[pairs[:, 1]])
            several = pairs[views[objects[pairs[:, 0]]] > 1]
            seen |= {bool(a == b) for a, b in several}
        assert seen == equal


def data(digits_zoo, **options) -> ZooDataModule:
    return ZooDataModule(str(digits_zoo), **options)


def objects(loader) -> list[int]:
    return [int(o) for batch in loader for o in batch.objects]


def test_views_labels_and_splits(digits_zoo) -> None:
    module = data(digits_zoo, n_views=2, internal_test=True)
    train = torch.cat([b.views for b in module.train_dataloader()])
    assert (len(train), train.unique().tolist()) == (120, [0, 1])
    external, internal = module.test_dataloader()
    assert {int(v) for b in internal for v in b.views} == {2}
    assert set(objects(internal)) == set(objects(module.train_dataloader()))
    assert len(objects(external)) == 20
    assert not set(objects(external)) & set(objects(internal))
    part = data(digits_zoo, label_fraction=0.5, internal_test=True)
    assert set(objects(part.test_dataloader()[1])) == set(objects(part.train_dataloader()))
    few = data(digits_zoo, label_fraction=0.5)
    kept = objects(few.train_dataloader())
    assert 0 < len(set(kept)) < 60
    assert len(kept) == 3 * len(set(kept))


def test_pairs_stay_pairs_after_torch_has_made_a_list_of_them(digits_zoo) -> None:
    # as its DataLoader does when it copies a tuple to page-locked memory, for a GPU
    module = data(digits_zoo, positives="views", batch_size=8)
    pair = next(iter(module.train_dataloader()))
    moved = module.transfer_batch_to_device(list(pair), torch.device("cpu"), 0)
    assert isinstance(moved, tuple)
    assert all(torch.equal(a.params, b.params) for a, b in zip(moved, pair, strict=True))


def test_mixup_partners_come_from_the_chosen_views(digits_zoo, zoo) -> None:
    module = data(digits_zoo, n_views=1, batch_size=60, augmentations=["mixup"])
    (batch,) = module.train_dataloader()
    mixed = module.chain(batch).params
    own = zoo.params(zoo.rows("train", first_view_only=True))
    basis = torch.linalg.qr(own.double().T)[0]  # 60 directions of 105
    outside = mixed.double() - mixed.double() @ basis @ basis.T
    assert outside.abs().max() < 1e-5, "something of another network was mixed in"


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"batch_size": 0}, ConfigError, r"data.batch_size must be at least 1, found 0"),
        ({"seed": -1}, ConfigError, "data.seed must be at least 0"),
        ({"num_workers": -1}, ConfigError, "data.num_workers must be at least 0"),
        ({"batch_size": 2.5}, ConfigError, "data.batch_size must be a whole number, at least 1, found 2.5"),
        ({"memory_gb": float("nan")}, ConfigError, "data.memory_gb must be a number, at least 0, found nan"),
        ({"n_views": 4}, ConfigError, r"n_views .* must be in 1\.\.3"),
        ({"label_fraction": 0.01}, ConfigError, "leaves class"),
        ({"augmentations": ["mixap"]}, AugmentationError, "did you mean 'mixup'"),
    ],
)
def test_bad_options_say_why(digits_zoo, options, error, message: str) -> None:
    with pytest.raises(error, match=message):
        data(digits_zoo, **options)


def test_a_missing_zoo_is_named(tmp_path) -> None:
    with pytest.raises(ZooError, match="no zoo at .*nowhere"):
        data(tmp_path / "nowhere")


class Recorder(pl.LightningModule):
    """Keeps what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.seen: list = []
        self.validated: list = []

    def training_step(self, batch, batch_idx: int) -> torch.Tensor:
        self.seen.append(batch)
        return self.weight.sum()

    def validation_step(self, batch, batch_idx: int) -> None:
        self.validated.append(batch)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)


def train(module: ZooDataModule, tmp_path, epochs: int = 2, ckpt_path: Path | None = None, **options) -> Recorder:
    recorder = Recorder()
    trainer = pl.Trainer(
        max_epochs=epochs, accelerator="cpu", logger=False, default_root_dir=tmp_path, enable_progress_bar=False,
        enable_model_summary=False, use_distributed_sampler=False, num_sanity_val_steps=0,
        enable_checkpointing="callbacks" in options, **options,
    )  # fmt: skip
    trainer.fit(recorder, datamodule=module, ckpt_path=ckpt_path)
    return recorder


pytestmark = pytest.mark.filterwarnings("ignore:.*does not have many workers")  # advice for large images


def test_training_is_augmented_validation_is_not_and_runs_repeat(digits_zoo, tmp_path) -> None:
    options = {"augmentations": ["sign_flip", {"gaussian_noise": {"scale": 0.5}}], "seed": 4}
    first = train(data(digits_zoo, **options), tmp_path)
    second = train(data(digits_zoo, **options), tmp_path)
    plain = train(data(digits_zoo, seed=4), tmp_path)
    assert all(torch.equal(a.params, b.params) for a, b in zip(first.seen, second.seen, strict=True))
    assert not any(torch.equal(a.params, b.params) for a, b in zip(first.seen, plain.seen, strict=True))
    assert all(torch.equal(a.params, b.params) for a, b in zip(first.validated, plain.validated, strict=True))
    assert [b.index for b in plain.seen] == [0, 1, 2] * 2
    assert plain.seen[0].objects.tolist() != plain.seen[3].objects.tolist()


def test_worker_processes_change_nothing(digits_zoo, tmp_path) -> None:
    options = {"augmentations": ["sign_flip"], "seed": 4}
    here = train(data(digits_zoo, **options), tmp_path, epochs=1)
    workers = train(data(digits_zoo, num_workers=2, **options), tmp_path, epochs=1)
    assert all(torch.equal(a.params, b.params) for a, b in zip(here.seen, workers.seen, strict=True))


@pytest.fixture(scope="module")
def aligned_zoo(digits_zoo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    copy = Path(shutil.copytree(digits_zoo, tmp_path_factory.mktemp("aligned") / "zoo"))
    ws.align_zoo(copy, rounds=1)
    return copy


STORED = [{"mixup_aligned": {"stored": True}}]


@pytest.mark.filterwarnings("ignore:This DataLoader will create")  # where there is one core
@pytest.mark.parametrize("memory_gb", [4.0, 0.0])
def test_batches_carry_their_stored_elements_from_every_process(aligned_zoo: Path, tmp_path, memory_gb: float) -> None:
    """Also from two loader processes; those of evaluation carry none."""
    zoo, rows = Zoo(aligned_zoo), {}
    for row, place in enumerate(zip(zoo.objects.tolist(), zoo.views.tolist(), strict=True)):
        rows[place] = row
    options = {"augmentations": STORED, "seed": 4, "memory_gb": memory_gb}
    for workers in (0, 2):
        seen = train(data(aligned_zoo, num_workers=workers, **options), tmp_path, epochs=1)
        for batch in seen.seen:
            where = [rows[place] for place in zip(batch.objects.tolist(), batch.views.tolist(), strict=True)]
            assert torch.equal(batch.frame, zoo.alignment().frames(torch.tensor(where)))
        assert all(batch.frame is None for batch in seen.validated)
        if workers == 0:
            here = seen
    assert all(torch.equal(a.params, b.params) for a, b in zip(here.seen, seen.seen, strict=True))
    pair = next(iter(data(aligned_zoo, positives="views", **options).train_dataloader()))
    assert [part.frame.shape for part in pair] == [(60, 48)] * 2
    assert data(aligned_zoo, **options).training_batch(7).frame.shape == (7, 48)
    assert data(aligned_zoo).training_batch(7).frame is None


def test_a_run_is_not_continued_with_another_alignment(aligned_zoo: Path, tmp_path) -> None:
    copy = shutil.copytree(aligned_zoo, tmp_path / "zoo")
    module = data(copy, augmentations=STORED)
    train(module, tmp_path, epochs=1)
    state = module.state_dict()
    ws.align_zoo(copy, rounds=2, overwrite=True)
    other = data(copy, augmentations=STORED)
    other.load_state_dict(state)
    with pytest.raises(ConfigError, match="is of a run with another alignment 'mean' of"):
        next(iter(other.train_dataloader()))
    same = data(copy, augmentations=["sign_flip"])
    same.load_state_dict(state)
    next(iter(same.train_dataloader()))


@pytest.mark.parametrize("positives", ["augment", "views", "both"])
def test_pairs_go_through_the_chain_with_draws_of_their_own(digits_zoo, tmp_path, positives: str) -> None:
    options = {"positives": positives, "augmentations": ["sign_flip"], "seed": 4}
    recorder = train(data(digits_zoo, **options), tmp_path)
    again = train(data(digits_zoo, **options), tmp_path)
    for (one, two), (three, four) in zip(recorder.seen, again.seen, strict=True):
        assert torch.equal(one.objects, two.objects)
        assert not torch.equal(one.params, two.params)
        assert torch.equal(one.params, three.params)
        assert torch.equal(two.params, four.params)
    assert len({int(o) for one, _ in recorder.seen[:1] for o in one.objects}) == 60
    same = torch.cat([one.views == two.views for one, two in recorder.seen])
    assert (same.all().item(), same.any().item()) == {
        "augment": (True, True), "views": (False, False), "both": (False, True)
    }[positives]  # fmt: skip
    # validation is augmented alike in every epoch
    first, second = recorder.validated
    assert all(torch.equal(a.params, b.params) for a, b in zip(first, second, strict=True))
    assert not torch.equal(first[0].params, first[1].params)


def test_mixed_pairs_remain_mostly_themselves(digits_zoo) -> None:
    batch = data(digits_zoo).training_batch(60)
    batch = batch.replace(targets=torch.eye(60), num_classes=60)  # a class for each: targets show the shares
    for positives, low in ((None, 0.0), ("augment", 0.5)):
        mixed = data(digits_zoo, positives=positives, augmentations=["mixup"]).chain(batch)
        own = mixed.targets.diagonal()
        assert own.min() >= low
        assert (own.min() < 0.5) == (positives is None)


def test_a_picture_of_an_augmentation_changes_nothing_in_its_chain(digits_zoo) -> None:
    module = data(digits_zoo, positives="augment", augmentations=["sign_flip", "mixup"])
    batch = module.training_batch(4)
    before = module.chain(batch).params
    augmentation_figure(module.chain.augmentations[1], batch, module.class_names, (0.0, 1.0), side=4)
    assert torch.equal(module.chain(batch).params, before)


def test_views_need_views(digits_zoo) -> None:
    with pytest.raises(ConfigError, match="'views' needs two views of every training object"):
        data(digits_zoo, positives="views", n_views=1)
    with pytest.raises(ConfigError, match="data.positives must be one of augment, views, both, found 'vievs'"):
        data(digits_zoo, positives="vievs")


class Counting(Augmentation):
    """Counts epochs, to see that its hooks run and that its state is kept."""

    def __init__(self) -> None:
        super().__init__()
        self.epochs = 0

    def sample(self, batch, generator):
        return None

    def apply(self, batch, params):
        return batch.replace(params=batch.params + 0)

    def on_train_epoch_start(self, trainer, pl_module) -> None:
        self.epochs += 1

    def state_dict(self):
        return {"epochs": self.epochs}

    def load_state_dict(self, state) -> None:
        self.epochs = state["epochs"]


def test_augmentations_are_callbacks_whose_state_is_in_checkpoints(digits_zoo, tmp_path) -> None:
    one, two = Counting(), Counting()
    module = data(digits_zoo, augmentations=[one, two])
    checkpoint = pl.callbacks.ModelCheckpoint(tmp_path, filename="last", save_on_train_epoch_end=True)
    train(module, tmp_path, epochs=3, callbacks=[checkpoint])
    assert (one.epochs, two.epochs) == (3, 3)
    saved = torch.load(tmp_path / "last.ckpt", weights_only=True)["callbacks"]
    assert [saved[a.state_key] for a in (one, two)] == [{"epochs": 3}, {"epochs": 3}]
    assert one.state_key != two.state_key


@pytest.mark.filterwarnings("ignore:Checkpoint directory .* is not empty")
def test_a_schedule_goes_on_in_a_chain_with_another_item_before_it(digits_zoo, tmp_path) -> None:
    def epochs(count: int, augmentations: list, name: str, resumed: str | None = None) -> int:
        checkpoint = pl.callbacks.ModelCheckpoint(tmp_path, filename=name, save_on_train_epoch_end=True)
        path = tmp_path / f"{resumed}.ckpt" if resumed else None
        train(data(digits_zoo, augmentations=augmentations), tmp_path, count, callbacks=[checkpoint], ckpt_path=path)
        return augmentations[-1].epochs

    assert epochs(3, [Counting()], "first") == 3
    assert epochs(4, ["permute", Counting()], "second", resumed="first") == 4

    content = torch.load(tmp_path / "first.ckpt", weights_only=True)
    content["callbacks"]["augmentation/0/Counting"] = content["callbacks"].pop("augmentation/Counting/0")
    torch.save(content, tmp_path / "first.ckpt")
    with pytest.warns(match="augmentation/0/Counting"):  # Lightning looks before it asks anybody
        assert epochs(4, [Counting()], "third", resumed="first") == 4


@pytest.fixture(scope="module")
def many_shards(digits_zoo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The digits' networks in shards of 32."""
    out, zoo = tmp_path_factory.mktemp("zoo") / "many", Zoo(digits_zoo)
    columns = {
        "target": zoo.targets,
        "object": zoo.objects,
        "view": zoo.views,
        "split": zoo.splits,
        "quality": zoo.quality,
    }
    with ZooWriter(out, {}, ZooHeader(zoo.spec, zoo.header.target, ["psnr"], {}, [])) as writer:
        for rows in torch.arange(len(zoo)).split(32):
            writer.write({"params": zoo.params(rows), **{name: column[rows] for name, column in columns.items()}}, [])
        writer.finish()
    return out


@pytest.mark.parametrize("workers", [0, 2])
def test_a_zoo_that_is_not_copied_to_memory_gives_the_same_batches(
    digits_zoo: Path, many_shards: Path, workers: int
) -> None:
    """Shuffled across all shards, whatever lies in memory, and in worker processes too."""
    copied = ZooDataModule(str(digits_zoo), batch_size=32, seed=3)
    paged = ZooDataModule(str(many_shards), batch_size=32, seed=3, memory_gb=0, num_workers=workers)
    loader = paged.train_dataloader()
    assert loader.dataset.params is None
    batches = 0
    for one, other in zip(copied.train_dataloader(), loader, strict=True):
        assert torch.equal(one.params, other.params)
        assert torch.equal(one.targets, other.targets)
        assert torch.equal(one.objects, other.objects)
        shards = {int(row) // 32 for row in (paged.zoo.objects[:, None] == other.objects).nonzero()[:, 0]}
        assert len(shards) > 3
        batches += 1
    assert batches == 6


def test_a_pickled_zoo_is_a_path(many_shards: Path) -> None:
    zoo = Zoo(many_shards)
    content = pickle.dumps(zoo)
    assert len(content) < 1000
    assert torch.equal(pickle.loads(content).params(torch.arange(9)), zoo.params(torch.arange(9)))


def test_rows_that_are_not_there(many_shards: Path) -> None:
    for row in (-1, 220):
        with pytest.raises(IndexError, match=r"has rows 0\.\.219"):
            Zoo(many_shards).params(torch.tensor([row]))


def test_a_zoo_and_augmentations_may_be_objects(zoo: Zoo) -> None:
    flip = ws.augmentation("sign_flip")
    data = ZooDataModule(zoo, augmentations=[flip, "permute", {"mixup_aligned": {"alpha": 0.5}}])
    assert data.zoo is zoo
    assert data.chain.augmentations[0] is flip
    assert [type(a).__name__ for a in data.chain.augmentations] == ["SignFlip", "Permute", "MixUpAligned"]
    assert str(data) == repr(data)
    assert "180 training networks 2-8-8-1 sine" in repr(data)
    with pytest.raises(AugmentationError, match=r"must be a list, found 'sign_flip': write \['sign_flip'\]"):
        ZooDataModule(zoo, augmentations="sign_flip")


@pytest.mark.parametrize(("length", "size", "world"), [(61, 8, 3), (24, 8, 3), (25, 8, 3), (5, 8, 2), (17, 8, 1)])
def test_every_process_knows_the_sizes_of_all(length: int, size: int, world: int) -> None:
    samplers = [BatchSampler(length, size, True, 0, rank, world) for rank in range(world)]
    for batches in zip(*samplers, strict=True):
        (number,) = {number for number, _ in batches}
        assert all(sampler.sizes(number) == [len(rows) for _, rows in batches] for sampler in samplers)
