"""What a configuration may name as a class, and what becomes of its arguments when another is chosen."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from weightspace.cli.main import main
from weightspace.entry_points import plugins

FUNCTIONS = """
from pathlib import Path

from weightspace.backbones import DWS, MLP
from weightspace.spec import NetworkSpec


def write(path: str) -> None:
    Path(path).touch()


def small(spec: NetworkSpec, out_dim: int, hidden: int = 3) -> DWS:
    return DWS(spec, out_dim, hidden=hidden, layers=1)


class Writer:
    def __init__(self, path: str) -> None:
        Path(path).touch()

    def __call__(self, spec: NetworkSpec, out_dim: int) -> MLP:
        return MLP(spec, out_dim)
"""


@pytest.fixture
def fit(tmp_path: Path, digits_zoo: Path, monkeypatch: pytest.MonkeyPatch):
    """Runs one batch of a supervised task with a backbone, in a folder where the functions can be imported."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "paths_of_others.py").write_text(FUNCTIONS)
    config: dict[str, Any] = {
        "model": {"class_path": "weightspace.tasks.SupervisedTask"},
        "data": {"zoo": str(digits_zoo)},
        "trainer": {"fast_dev_run": True, "accelerator": "cpu"},
    }

    def run(backbone: Any = "DWS", *options: str, **trainer: Any) -> int:
        config["model"]["init_args"] = {"backbone": backbone}
        config["trainer"] |= trainer
        Path("small.yaml").write_text(yaml.safe_dump(config))
        return main(["fit", "-c", "small.yaml", *options])

    return run


def spec(path: str, /, **arguments: Any) -> dict[str, Any]:
    return {"class_path": path, "init_args": arguments}


OFFERED = """
from pathlib import Path

import weightspace.backbones


class Theirs(weightspace.backbones.MLP):
    def __init__(self, spec, out_dim: int, hidden: int = 4) -> None:
        super().__init__(spec, out_dim, hidden=hidden)
        Path("theirs").write_text(str(hidden))
"""


def test_a_distribution_and_a_name_choose_a_backbone(fit, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "my_nets.py").write_text(OFFERED)
    metadata = tmp_path / "my_nets-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: my-nets\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[weightspace.backbones]\nDWS = my_nets:Theirs\n")
    plugins.cache_clear()
    theirs = Path("theirs")
    try:
        assert fit(spec("weightspace:DWS", hidden=3, layers=1)) == 0
        assert not theirs.exists()
        assert fit(spec("weightspace:MLP"), "--model.init_args.backbone", "my-nets:DWS") == 0
        assert theirs.read_text() == "4"
        assert fit(spec("Canonical", backbone=spec("my-nets:DWS", hidden=5))) == 0
        assert theirs.read_text() == "5"
        capsys.readouterr()
        assert fit("my-net:DWS") == 2
        assert "unknown backbone 'my-net:DWS': did you mean 'my-nets:DWS'?" in " ".join(capsys.readouterr().err.split())
    finally:
        plugins.cache_clear()
        sys.modules.pop("my_nets", None)


@pytest.mark.parametrize(
    "backbone",
    [
        spec("os.system", command="touch written"),
        spec("paths_of_others.write", path="written"),
        spec("paths_of_others.Writer", path="written"),
        spec("Canonical", backbone=spec("os.system", command="touch written")),
        spec("Canonical", backbone=spec("paths_of_others.write", path="written")),
        "paths_of_others.write",
    ],
    ids=str,
)
def test_only_what_makes_a_backbone_is_called(fit, backbone: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert fit(backbone) == 2
    err = capsys.readouterr().err
    assert not Path("written").exists()
    assert "backbone: " in err
    assert "Backbone" in err or "os.system" in err
    assert len(err) < 400


@pytest.mark.parametrize("key", ["callbacks", "logger", "plugins", "strategy", "profiler", "accelerator"])
def test_the_trainer_takes_only_what_it_is_made_for(fit, key: str, capsys: pytest.CaptureFixture[str]) -> None:
    for path, arguments in {
        "os.system": {"command": "touch written"},
        "paths_of_others.write": {"path": "written"},
    }.items():
        value: Any = spec(path, **arguments)
        assert fit("DWS", **{key: [value] if key in ("callbacks", "logger", "plugins") else value}) == 2
        err = capsys.readouterr().err
        assert f"trainer.{key}: " in err
        assert path in err
        assert not Path("written").exists()


def test_values_of_any_type_make_no_objects(fit, capsys: pytest.CaptureFixture[str]) -> None:
    written = {"class_path": "paths_of_others.Writer", "init_args": {"path": "written"}}
    assert fit("DWS", "--data.augmentations", yaml.safe_dump([{"rotate": {"degrees": written}}])) == 2
    assert not Path("written").exists()


@pytest.mark.parametrize(
    "backbone",
    ["paths_of_others.small", spec("paths_of_others.small"), spec("paths_of_others.small", hidden=5)],
    ids=str,
)
def test_a_function_that_says_that_it_returns_a_backbone_is_one(fit, backbone: Any) -> None:
    assert fit(backbone) == 0


def test_a_bomb_of_aliases_is_refused(fit, capsys: pytest.CaptureFixture[str]) -> None:
    laughs = ["a0: &a0 [lol]", *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10))]
    Path("bomb.yaml").write_text("\n".join(laughs))
    recipe = ["--source", "digits", "--train", "1", "--out", "z", "--recipe", "bomb.yaml"]
    for options in (["fit", "-c", "bomb.yaml"], ["zoo", "fit", *recipe]):
        assert main(options) == 2
        assert "aliases stand for more than 10,000 values" in capsys.readouterr().err


@pytest.fixture
def printed(fit, capsys: pytest.CaptureFixture[str]):
    """The configuration that a command line would run."""

    def run(backbone: Any, *options: str, **trainer: Any) -> Any:
        with pytest.raises(SystemExit):
            fit(backbone, *options, "--print_config", **trainer)
        return yaml.safe_load(capsys.readouterr().out)

    return run


def test_another_class_has_its_own_defaults(printed) -> None:
    old = spec("DWS", hidden=8, layers=1)
    by_option = printed(old, "--model.init_args.backbone", "Probe")
    assert (
        by_option["model"]["init_args"]["backbone"]["init_args"] | {"hidden": 512, "layers": 2}
        == (by_option["model"]["init_args"]["backbone"]["init_args"])
    )
    Path("second.yaml").write_text("model: {init_args: {backbone: {class_path: Probe, init_args: {layers: 3}}}}")
    by_file = printed(old, "-c", "second.yaml")["model"]["init_args"]["backbone"]["init_args"]
    assert (by_file["hidden"], by_file["layers"]) == (512, 3)
    inner = printed(spec("Canonical", backbone=old), "--model.init_args.backbone.init_args.backbone", "Probe")
    assert inner["model"]["init_args"]["backbone"]["init_args"]["backbone"]["init_args"]["hidden"] == 512


def test_another_spelling_is_the_same_class(printed) -> None:
    for name in ("DWS", "weightspace.backbones.DWS", "weightspace.backbones.dws.DWS"):
        kept = printed(spec("DWS", hidden=8), "--model.init_args.backbone", name)
        assert kept["model"]["init_args"]["backbone"]["init_args"]["hidden"] == 8


def test_another_task_logger_strategy_and_callback_have_their_own_defaults(printed) -> None:
    rate = ["--model.init_args.learning_rate", "0.5", "--model", "weightspace.tasks.FineTuneTask"]
    changed = printed("DWS", *rate, "--model.init_args.backbone", "MLP")["model"]["init_args"]
    assert changed["learning_rate"] == 2e-3
    trainer = {
        "logger": spec("CSVLogger", save_dir="a", version="v"),
        "strategy": spec("lightning.pytorch.strategies.DDPStrategy", process_group_backend="gloo"),
        "callbacks": [spec("EarlyStopping", monitor="a", mode="max", verbose=True)],
    }
    callbacks = "[{class_path: ModelCheckpoint, init_args: {monitor: b}}]"
    options = [
        "--trainer.logger",
        "TensorBoardLogger",
        "--trainer.logger.save_dir",
        "b",
        "--trainer.callbacks",
        callbacks,
    ]
    options += ["--trainer.strategy", "{class_path: lightning.pytorch.strategies.FSDPStrategy}"]
    found = printed("DWS", *options, **trainer)["trainer"]
    assert found["logger"]["init_args"]["version"] is None
    assert found["strategy"]["init_args"]["process_group_backend"] is None
    assert found["callbacks"][0]["init_args"] | {"mode": "min", "verbose": False} == found["callbacks"][0]["init_args"]


def test_a_list_is_replaced_as_a_whole(printed) -> None:
    Path("second.yaml").write_text("trainer: {callbacks: [{class_path: EarlyStopping, init_args: {monitor: b}}]}")
    old = [spec("EarlyStopping", monitor="a", patience=7)]
    (callback,) = printed("DWS", "-c", "second.yaml", callbacks=old)["trainer"]["callbacks"]
    assert (callback["init_args"]["monitor"], callback["init_args"]["patience"]) == ("b", 3)


AUGMENTATIONS = ["--data.augmentations", "[{rotate: {degrees: 30, p: 0.5}}, sign_flip]"]


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("0.rotate.degrees", "45", [{"rotate": {"degrees": 45, "p": 0.5}}, "sign_flip"]),
        ("rotate.degrees", "45", [{"rotate": {"degrees": 45, "p": 0.5}}, "sign_flip"]),
        ("sign_flip.p", "0.3", [{"rotate": {"degrees": 30, "p": 0.5}}, {"sign_flip": {"p": 0.3}}]),
        ("0", "{mixup: {alpha: 0.1}}", [{"mixup": {"alpha": 0.1}}, "sign_flip"]),
    ],
)
def test_one_item_of_a_list_is_changed(printed, option: str, value: str, expected: list[Any]) -> None:
    assert printed("DWS", *AUGMENTATIONS, f"--data.augmentations.{option}", value)["data"]["augmentations"] == expected


def test_an_item_is_added_to_a_list(printed) -> None:
    added = printed("DWS", *AUGMENTATIONS, "--data.augmentations+", "{mixup: {alpha: 0.4}}")["data"]["augmentations"]
    assert added[1:] == ["sign_flip", {"mixup": {"alpha": 0.4}}]
    callbacks = ["--trainer.callbacks+", "EarlyStopping", "--trainer.callbacks.monitor", "a"]
    callbacks += ["--trainer.callbacks+", "Timer", "--trainer.callbacks.0.patience", "5"]
    first, second = printed("DWS", *callbacks)["trainer"]["callbacks"]
    assert (first["init_args"]["patience"], second["init_args"]["interval"]) == (5, "step")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--data.augmentations.2.mixup.alpha", "1"], "data.augmentations: there is no item 2: the list has 2"),
        (["--data.augmentations.rotat.degrees", "1"], "there is no item 'rotat' among rotate, sign_flip"),
        (["--data.batchsize", "3"], "there is no option --data.batchsize: did you mean '--data.batch_size'?"),
        (["--trainer.max_epoch", "3"], "there is no option --trainer.max_epoch: did you mean '--trainer.max_epochs'?"),
        (["--modle.init_args.warmup", "3"], "did you mean '--model.init_args.warmup'?"),
        (["--model.init_args.backbone.init_args.hiden", "3"], "no option hiden: did you mean 'hidden'?"),
        (["--model.init_args.backbone", "DSW"], "class DSW, expected its name or dotted path: did you mean 'DWS'?"),
        (["--model.init_args.backbone", "weightspace.backbones.DSW"], "did you mean 'DWS'?"),
        (["--trainer.callbacks+", "EarlyStoping"], "did you mean 'EarlyStopping'?"),
        (["--data.augmentations", "[rotat]"], "did you mean 'rotate'?"),
        (["--data.seed", "${seed_everything}"], "relative: write ${..seed_everything}"),
        (["--data.seed", "${..seed_everythin}"], "did you mean ${..seed_everything}?"),
    ],
)  # fmt: skip
def test_what_is_not_there_is_said_with_the_closest(
    fit, options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fit("DWS", *AUGMENTATIONS, *options) == 2
    assert message in capsys.readouterr().err


def test_keys_of_a_yaml_that_are_not_there_are_said_with_the_closest(fit, capsys: pytest.CaptureFixture[str]) -> None:
    for text, message in {
        "data: {batchsize: 3}": "data.batchsize: did you mean 'data.batch_size'?",
        "trainer: {max_epoch: 3}": "trainer.max_epoch: did you mean 'trainer.max_epochs'?",
        "modle: 3": "modle: did you mean 'model'?",
    }.items():
        Path("second.yaml").write_text(text)
        assert fit("DWS", "-c", "second.yaml") == 2
        assert message in capsys.readouterr().err
