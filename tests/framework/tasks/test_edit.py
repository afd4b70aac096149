"""Editing networks: targets, training, and what an editor claims."""

from __future__ import annotations

from pathlib import Path

import lightning.pytorch as pl
import pytest
import torch
from weightspace.augment import Augmentation, AugmentationChain, build_augmentations
from weightspace.backbones import DWS, GNN, MLP, Editor, GraphTransformer, Probe, ScaleGNN, embed, load_backbone
from weightspace.cli.main import main
from weightspace.data import ZooDataModule
from weightspace.errors import ConfigError
from weightspace.network import decode, grid
from weightspace.sources import load_source
from weightspace.symmetry import GroupElement
from weightspace.tasks import EditTask, predict
from weightspace.tasks.edit_targets import drawn, object_goal, own_goal, square_errors
from weightspace.testing import check_task, parametrize_checks
from weightspace.zoo import Zoo, write_zoo
from weightspace_plugins.edits import dilation

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*does not have many workers",  # advice for large images
    "ignore:.*is smaller than the logging interval",  # a zoo of a few batches
)

SMALL = DWS.partial(output="weights", hidden=4, layers=1)


def editor(cls, **arguments):
    def make(spec, out_dim):
        return Editor(spec, out_dim, update=cls.partial(output="weights", **arguments), start=0.5)

    make.__name__ = f"Editor-{cls.__name__}"
    return make


@parametrize_checks(
    editor(DWS, hidden=4, layers=2), editor(ScaleGNN, hidden=4, layers=2), editor(GNN, hidden=4, layers=1)
)
def test_contract_of_editors(check) -> None:
    check()


def test_contract_of_the_task() -> None:
    check_task(lambda: EditTask(SMALL, edit="dilation", side=8))


class HalfOfNext(Augmentation):
    """Mixes each network with the next one, and leaves the targets."""

    mixes = True

    def sample(self, batch, generator):
        return None

    def apply(self, batch, params):
        return batch.replace(params=(batch.params + batch.params.roll(1, 0)) / 2)


def trainer(tmp_path: Path, epochs: int) -> pl.Trainer:
    return pl.Trainer(
        max_epochs=epochs, accelerator="cpu", logger=False, default_root_dir=tmp_path, enable_progress_bar=False,
        enable_model_summary=False, use_distributed_sampler=False, enable_checkpointing=False,
    )  # fmt: skip


def images(objects: torch.Tensor) -> torch.Tensor:
    return load_source("digits").values(objects).mT.reshape(len(objects), 1, 8, 8)


@pytest.mark.parametrize("targets", ["networks", "objects"])
def test_it_learns_and_its_metrics_are_those_of_pictures(digits_zoo: Path, tmp_path: Path, targets: str) -> None:
    torch.manual_seed(0)
    backbone = DWS.partial(output="weights", hidden=8, layers=2)
    task = EditTask(backbone, edit="dilation", targets=targets, side=8, learning_rate=2e-2).give_objects(images)
    served, run = ZooDataModule(str(digits_zoo), batch_size=16, n_views=1), trainer(tmp_path, 40)
    run.fit(task, datamodule=served)
    run.test(task, datamodule=served, verbose=False)
    metrics = {name: float(value) for name, value in run.callback_metrics.items()}
    assert metrics["test/mse"] < 0.8 * metrics["test/mse_no_edit"]
    batch = served.evaluation_batch("test")
    before = decode(batch, grid(8, 8), (0.0, 1.0)).mT.reshape(-1, 1, 8, 8)
    goal = dilation(before.clamp(0, 1) if targets == "networks" else images(batch.objects))
    with torch.no_grad():
        after = decode(batch.replace(params=task(batch)), grid(8, 8), (0.0, 1.0)).mT.reshape(-1, 1, 8, 8)
    for name, picture in {"_no_edit": before, "": after}.items():
        errors = (picture - goal).square().mean((1, 2, 3))
        assert metrics[f"test/mse{name}"] == pytest.approx(float(errors.mean()), rel=1e-4)
        assert metrics[f"test/psnr{name}"] == pytest.approx(float(-10 * errors.log10().mean()), rel=1e-4)
    assert 0 < metrics["test/mse_filter"] < metrics["test/mse_no_edit"]
    found = predict(task, served.zoo, "test")
    assert found.values[: len(batch), 0].mean() == pytest.approx(metrics["test/mse"], rel=1e-4)


def test_the_edit_of_a_batch_is_computed_once_where_loss_and_measures_need_it(digits_zoo: Path, tmp_path: Path) -> None:
    calls = []

    def counted(values: torch.Tensor) -> torch.Tensor:
        calls.append(len(values))
        return dilation(values)

    task, served = EditTask(SMALL, edit=counted, side=8), ZooDataModule(str(digits_zoo), eval_batch_size=8)
    run = trainer(tmp_path, 1)
    run.fit(task, datamodule=served)
    calls.clear()
    run.validate(task, datamodule=served, verbose=False)
    assert calls[-len(served.val_dataloader()) :] == [len(batch) for batch in served.val_dataloader()]
    assert len(calls) <= len(served.val_dataloader()) + 1  # the first asks whether the edit can be used
    calls.clear()
    run.test(task, datamodule=served, verbose=False)
    assert len(calls) <= len(served.test_dataloader()[0]) + 1
    assert float(run.callback_metrics["test/loss"]) == float(run.callback_metrics["test/mse"])


def test_the_range_of_values_is_that_of_the_state_that_was_loaded(zoo, tmp_path: Path) -> None:
    task = EditTask(SMALL, edit="dilation", side=8).build_for(ZooDataModule(zoo))
    batch = zoo["train"][:3]
    before = task.pictures(batch)["before"]
    task.load_state_dict({**task.state_dict(), "value_range": torch.tensor([0.0, 2.0])})
    assert torch.allclose(task.pictures(batch)["before"], drawn(batch, (8, 8), (0.0, 2.0)).clamp(0, 1))
    assert not torch.equal(task.pictures(batch)["before"], before)


def test_edits_begin_small_and_each_tensor_has_a_scale(zoo) -> None:
    batch = zoo["train"][:4]
    model = Editor(batch.spec, batch.spec.num_params, update=SMALL, start=1e-3)
    model.fit_normaliser(batch)
    deviation = batch.params.std()
    assert 0 < (model(batch) - batch.params).abs().max() < 0.1 * deviation
    with torch.no_grad():
        model.scales.zero_()
        model.scales[3] = 1  # the second layer's biases
    changed = (model(batch) != batch.params).any(0)
    expected = torch.zeros_like(changed)
    expected[batch.spec.bias_slices[1]] = True
    assert torch.equal(changed, expected)


@pytest.mark.parametrize(
    ("cls", "symmetries"),
    [(DWS, ["permutation"]), (ScaleGNN, ["permutation", "sign"]), (GraphTransformer, ["permutation"])],
)
def test_networks_of_one_function_are_edited_to_networks_of_one_function(random_batch, cls, symmetries) -> None:
    batch = random_batch((2, 5, 4, 1))
    size = {"node": 8, "edge": 4, "attention": 8, "heads": 2, "layers": 2} if cls is GraphTransformer else {"hidden": 4}
    model = Editor(batch.spec, batch.spec.num_params, update=cls.partial(output="weights", **size), start=1.0).double()
    model.fit_normaliser(batch)
    element = GroupElement.random(batch, set(symmetries), torch.Generator().manual_seed(0))
    pictures = [drawn(b.replace(params=model(b)), (6, 6), (0, 1)) for b in (batch, element.apply(batch))]
    assert (pictures[0] - pictures[1]).abs().max() < 1e-9
    assert (pictures[0] - drawn(batch, (6, 6), (0, 1))).abs().max() > 1e-3


def test_objects_move_with_their_networks(random_batch) -> None:
    batch = random_batch((2, 5, 4, 1))
    chain = AugmentationChain(build_augmentations([{"translate": {"scale": 0.6}}]), seed=0)
    chain.places = True
    moved = chain(batch)
    ramp = grid(9, 9).sum(1).reshape(1, 1, 9, 9).double() / 4 + 0.5  # linear, so that interpolation is exact
    goal = object_goal(moved, lambda values: values, ramp.expand(len(batch), -1, -1, -1))
    shift = moved.placement[:, :, 2]
    points = grid(9, 9).double() + shift[:, None]
    inside = (points.abs() <= 1).all(2)
    assert torch.equal(goal.known, inside)
    assert 0 < inside.sum() < inside.numel()
    expected = points.sum(2) / 4 + 0.5
    assert (goal.images.flatten(1) - expected)[inside].abs().max() < 1e-9
    errors = square_errors(moved, goal, (0, 1), None)
    values = drawn(moved, (9, 9), (0, 1)).flatten(1)
    for network in range(len(batch)):
        known = inside[network]
        by_hand = (values[network, known] - expected[network, known]).square().mean()
        assert errors[network] == pytest.approx(float(by_hand))


def test_random_points_are_an_unbiased_sample(random_batch) -> None:
    batch = random_batch((2, 5, 4, 1))
    goal = own_goal(batch, dilation, (8, 8), (0, 1))
    torch.manual_seed(0)
    some = torch.stack([square_errors(batch, goal, (0, 1), 16) for _ in range(400)])
    whole = square_errors(batch, goal, (0, 1), None)
    assert ((some.mean(0) - whole).abs() < 4 * some.std(0) / 400**0.5).all()
    assert torch.equal(square_errors(batch, goal, (0, 1), 64), whole)


def test_an_editor_comes_back_from_its_files(digits_zoo: Path, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    config = tmp_path / "edit.yaml"
    config.write_text(f"""
model:
  class_path: EditTask
  init_args: {{edit: {{dilation: {{size: 3}}}}, targets: objects, points: 20, backbone: {{class_path: ScaleGNN, init_args: {{hidden: 4, output: weights}}}}}}
data: {{zoo: {digits_zoo}, augmentations: [{{rotate: {{degrees: 20}}}}, sign_flip]}}
trainer: {{max_epochs: 2, accelerator: cpu}}
""")  # noqa: E501
    shared = ["-c", str(config), "--experiment", "e", "--runs", str(runs)]
    for command in ("fit", "test", "predict"):
        assert main([command, *shared]) == 0
    folder = runs / "e" / "0"
    assert (folder / "pictures" / "edit_val.png").is_file()
    assert (folder / "pictures" / "edit_test.png").is_file()
    lines = (folder / "predictions.csv").read_text().splitlines()
    assert lines[0] == "object,view,mse,mse_no_edit"
    assert len(lines) == 21
    task = EditTask.load_from_checkpoint(folder / "checkpoints" / "best.ckpt")
    batch = ZooDataModule(str(digits_zoo)).evaluation_batch("test")
    with torch.no_grad():
        expected = task(batch)
    assert torch.equal(embed(load_backbone(folder / "editor_best.safetensors"), batch), expected)
    assert expected.shape == batch.params.shape


def refused(data: ZooDataModule, tmp_path: Path, **arguments) -> str:
    arguments = {"edit": "dilation", "side": 8, "backbone": SMALL, **arguments}
    task = EditTask(**arguments)
    with pytest.raises(ConfigError) as error:
        trainer(tmp_path, 1).fit(task, datamodule=data)
    return str(error.value)


def test_backbones_that_give_vectors(digits_zoo: Path, tmp_path: Path) -> None:
    data = ZooDataModule(str(digits_zoo))
    for backbone in (DWS, MLP, Probe):
        assert "give it output: weights" in refused(data, tmp_path, backbone=backbone)


def test_augmentations_that_have_no_meaning(digits_zoo: Path, tmp_path: Path) -> None:
    data = ZooDataModule(str(digits_zoo), augmentations=["label_smoothing"])
    assert "changes targets, which are not used" in refused(data, tmp_path)
    data = ZooDataModule(str(digits_zoo), augmentations=[HalfOfNext()])
    assert "no object that could be edited" in refused(data, tmp_path, targets="objects")
    trainer(tmp_path, 1).fit(EditTask(SMALL, edit="dilation", side=8), datamodule=data)  # of the mixture's own picture


def test_objects_that_are_missing_or_of_another_kind(digits_zoo: Path, tmp_path: Path) -> None:
    data = ZooDataModule(str(digits_zoo))
    assert "task.give_objects(images)" in refused(data, tmp_path, targets="objects")
    for wrong, message in {
        torch.zeros(1, 1, 8, 8): "images of 1 objects were given, and networks are of objects up to",
        torch.zeros(2000, 3, 8, 8): r"should be (1, 1, height, width)",
        torch.zeros(2000, 8, 8): r"should be (1, 1, height, width)",
    }.items():
        task = EditTask(SMALL, edit="dilation", targets="objects").give_objects(wrong)
        with pytest.raises(ConfigError) as error:
            trainer(tmp_path, 1).fit(task, datamodule=data)
        assert message in str(error.value)


def test_objects_of_another_source_are_not_tested(digits_zoo: Path, tmp_path: Path) -> None:
    zoo = Zoo(digits_zoo)
    rows = zoo.rows("test")
    said = {"names": zoo.class_names, "value_range": zoo.value_range, "splits": ["test"] * len(rows)}
    write_zoo(tmp_path / "other", zoo.params(rows), zoo.spec, targets=zoo.targets[rows], **said)
    with_train = {**said, "splits": ["train"] * (len(rows) - 1) + ["test"]}
    write_zoo(tmp_path / "trained", zoo.params(rows), zoo.spec, targets=zoo.targets[rows], **with_train)
    message = r"is of others \(no source\): take networks of the same objects"
    for data in (
        ZooDataModule(str(digits_zoo), test_zoo=str(tmp_path / "other")),
        ZooDataModule([str(digits_zoo), str(tmp_path / "trained")], test_zoo=str(digits_zoo)),
    ):
        task = EditTask(SMALL, edit="dilation", targets="objects").give_objects(images)
        with pytest.raises(ConfigError, match=message):
            trainer(tmp_path, 1).fit(task, datamodule=data)


def test_solids_and_classifiers_have_no_images(classifier_zoo: Path, tmp_path: Path) -> None:
    assert "have 4 inputs" in refused(ZooDataModule(str(classifier_zoo)), tmp_path)


def test_an_edit_of_another_size(digits_zoo: Path, tmp_path: Path) -> None:
    found = refused(ZooDataModule(str(digits_zoo)), tmp_path, edit=lambda images: images[..., :4])
    assert "must give images of the size (1, 1, 8, 8), found (1, 1, 8, 4)" in found


@pytest.mark.parametrize(
    "wrong", [{"targets": "object"}, {"side": 1}, {"points": 0}, {"edit": "dilute"}, {"start": 0.0}]
)
def test_arguments_out_of_range(wrong: dict) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        EditTask(SMALL, **{"edit": "dilation", **wrong})
