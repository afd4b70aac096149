"""``Canonical`` with the frame of a reference; its sorted form has the tests of all backbones."""

from __future__ import annotations

import copy
import shutil
from pathlib import Path

import lightning.pytorch as pl
import pytest
import torch
import weightspace as ws
from torch import nn
from weightspace.backbones import Canonical
from weightspace.backbones.artefact import load_backbone, save_backbone
from weightspace.errors import ConfigError, SpecError
from weightspace.network import evaluate
from weightspace.symmetry import GROUPS, GroupElement, align, resolve_group, scale_neurons
from weightspace.symmetry.scales import unit_scales
from weightspace.testing import backbone_checks


def referenced(spec, out_dim: int = 4, **options) -> Canonical:
    """On the first of some random networks."""
    made = Canonical(spec, out_dim, ws.MLP.partial(hidden=8), form="reference", **options)
    params = 0.3 * torch.randn(1, spec.num_params, generator=torch.Generator().manual_seed(4))
    made.set_reference(ws.WeightBatch(params, spec))
    return made


def test_contract() -> None:
    for check in backbone_checks(referenced):
        check()


@pytest.mark.parametrize("activation", ["sine", "tanh", "relu"])
@pytest.mark.parametrize("group", ["auto", *GROUPS])
def test_the_form_is_the_network_aligned_with_the_reference(random_batch, activation: str, group: str) -> None:
    batch = random_batch((2, 6, 5, 2), activation, count=30)
    try:
        symmetries = resolve_group(group, batch.spec)
    except SpecError:
        return
    made = referenced(batch.spec, group=group).double()
    made.fit_normaliser(batch)
    reference, networks = batch.replace(params=made.reference.expand(30, -1)), batch
    if "scale" in symmetries:
        reference, networks = (scale_neurons(part, unit_scales(part)) for part in (reference, batch))
    form = align(reference, networks, "permutation" if "scale" in symmetries else group).apply(networks)
    x = torch.rand(9, 2, dtype=torch.float64)
    assert (evaluate(form, x) - evaluate(batch, x)).abs().max() < 1e-9
    expected = made.backbone(form)
    assert torch.equal(made(batch), expected)
    moved = GroupElement.random(batch, symmetries, torch.Generator().manual_seed(2), max_phase=3).apply(batch)
    assert (made(moved) - made(batch)).abs().max() < 1e-9


def test_without_a_reference_it_says_so(random_batch) -> None:
    batch = random_batch().to(dtype=torch.float32)
    made = Canonical(batch.spec, 4, ws.MLP, form="reference")
    with pytest.raises(ConfigError, match="has no reference yet"):
        made(batch)
    with pytest.raises(SpecError, match="the reference should be one network .*, found 6 of"):
        made.set_reference(batch)
    with pytest.raises(ConfigError, match="form must be sorted or reference, found 'other'"):
        Canonical(batch.spec, 4, ws.MLP, form="other")
    with pytest.raises(ConfigError, match="alignment has no effect without form: reference"):
        Canonical(batch.spec, 4, ws.MLP, alignment="mean")


def test_whether_there_is_a_reference_is_decided_again_when_weights_are_loaded(random_batch) -> None:
    batch = random_batch().to(dtype=torch.float32)
    without = Canonical(batch.spec, 4, ws.MLP.partial(hidden=8), form="reference").state_dict()
    made = nn.Sequential(referenced(batch.spec))  # loading goes from a module to those within
    before, kept = made(batch), copy.deepcopy(made.state_dict())
    made.load_state_dict({f"0.{name}": value for name, value in without.items()})
    with pytest.raises(ConfigError, match="has no reference yet"):
        made(batch)
    made.load_state_dict(kept)
    assert torch.equal(made(batch), before)


def test_a_task_takes_the_reference_of_the_zoo_and_saves_it(digits_zoo: Path, tmp_path: Path) -> None:
    zoo = ws.Zoo(shutil.copytree(digits_zoo, tmp_path / "zoo"))
    task = ws.SupervisedTask(
        ws.Canonical.partial(backbone=ws.MLP.partial(hidden=8), form="reference", alignment="mean")
    )
    trainer = pl.Trainer(default_root_dir=tmp_path, max_epochs=1, accelerator="cpu", logger=False,
                         enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False)  # fmt: skip
    with pytest.raises(ws.errors.ZooError, match="has no stored alignment: make one with"):
        trainer.fit(task, ws.ZooDataModule(zoo))
    alignment = ws.align_zoo(zoo, rounds=1)
    trainer.fit(task, ws.ZooDataModule(zoo))
    assert torch.equal(task.backbone.reference, alignment.reference.params)
    trainer.save_checkpoint(tmp_path / "t.ckpt")
    other = ws.SupervisedTask(task.make_backbone)
    options = {"ckpt_path": tmp_path / "t.ckpt", "verbose": False}
    scores = [trainer.test(other, ws.ZooDataModule(tested), **options) for tested in (digits_zoo, zoo)]
    assert torch.equal(other.backbone.reference, alignment.reference.params)
    assert scores[0] == scores[1], "a zoo without an alignment is tested with the reference of the checkpoint"
    save_backbone(task.backbone, tmp_path / "e.safetensors")
    shutil.rmtree(zoo.path)
    batch = ws.Zoo(digits_zoo)["test"][:]
    loaded = load_backbone(tmp_path / "e.safetensors")
    assert torch.equal(loaded.reference, alignment.reference.params)
    assert torch.equal(loaded(batch), task.backbone.eval()(batch))


def test_weights_of_before_there_were_two_forms_are_loaded(random_batch) -> None:
    batch = random_batch().to(dtype=torch.float32)
    old, new = (Canonical(batch.spec, 4, ws.MLP.partial(hidden=8)) for _ in range(2))
    for name in ("form", "alignment"):
        del old._arguments[name]
    assert set(old.description()["arguments"]) == {"backbone", "group"}
    new.load_state_dict(old.state_dict())
    assert torch.equal(new.eval()(batch), old.eval()(batch))
    other = referenced(batch.spec)
    with pytest.raises(
        (RuntimeError, SpecError), match="form is reference here, and sorted in the saved weights|reference"
    ):
        other.load_state_dict(old.state_dict())
