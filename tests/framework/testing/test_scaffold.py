"""What ``plugin new`` writes, for each kind of plugin."""

from __future__ import annotations

import os
import pkgutil
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml
from weightspace.cli.main import main
from weightspace.entry_points import plugins
from weightspace.testing.scaffold import KINDS, Names, render, write_plugin

#: What makes commands of a README shorter.
SHORTER = {
    "zoo fit": ["--train", "40", "--val", "10", "--test", "10", "--set", "steps=5", "hidden=[4]", "--mode", "eager"],
    "fit -c": ["--trainer.max_epochs", "1"],
}
#: Edits that an author might make of the parameters of each kind's class.
EDITS = {
    "augmentation": [
        ("scale: float = 0.05", "strength: float = 7.0, bias: bool = True"),
        ("0, 1)", "1, 9)\n        self.bias = bias"),
        ("scale", "strength"),
    ],
    "backbone": [
        ("hidden: int = 32", "features: int = 7, gain: float = 0.5"),
        ("hidden", "features"),
        ("means.append(", "means.append(self.gain * "),
        ("        self.layers", "        self.gain = gain\n        self.layers"),
    ],
    "source": [
        ("count: int = 1000, directions: int = 4, size: int = 16", "number: int = 30, size: int = 12, kinds: int = 5"),
        ("directions", "kinds"),
        ('"count"', '"number"'),
        ("count", "number"),
    ],
    "task": [
        (
            "    def build(self",
            "    def __init__(self, backbone, *, sharpness: float = 3.0, **options) -> None:\n"
            "        super().__init__(backbone, **options)\n        self.sharpness = sharpness\n\n    def build(self",
        ),
        ("F.cross_entropy(results", "F.cross_entropy(results * self.sharpness"),
    ],
}


@pytest.fixture(params=list(KINDS))
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Writes a plugin, with what an installation adds to it: its path, and the list of its entry points."""

    @contextmanager
    def install(kind: str) -> Iterator[tuple[Path, Names]]:
        names = Names.of(f"my-own-{kind}")
        folder = tmp_path / names.distribution
        write_plugin(names.distribution, folder, kind)
        metadata = folder / f"{names.module}-0.1.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {names.distribution}\nVersion: 0.1\n")
        if (group := KINDS[kind].group) is not None:
            point = f"{names.entry(kind)} = {names.module}:{names.cls}"
            assert point.replace(" = ", ' = "') + '"' in (folder / "pyproject.toml").read_text()
            (metadata / "entry_points.txt").write_text(f"[{group}]\n{point}\n")
        monkeypatch.chdir(tmp_path)
        monkeypatch.syspath_prepend(str(folder))
        plugins.cache_clear()
        try:
            yield folder, names
        finally:
            plugins.cache_clear()
            for name in (names.module, f"test_{names.module}"):
                sys.modules.pop(name, None)

    return install


def test_names_are_put_everywhere(kind: str) -> None:
    files, before = render("my-own-thing", kind), Names.of(KINDS[kind].name)
    tests = "tests/test_my_own_thing.py"
    assert set(files) == {"README.md", "experiment.yaml", "pyproject.toml", "my_own_thing.py", tests}
    assert "class MyOwnThing(" in files["my_own_thing.py"]
    for text in files.values():
        assert not any(word in text for word in (before.distribution, before.module, before.cls))


def test_what_is_written_is_clean(kind: str, tmp_path: Path) -> None:
    folder = tmp_path / "a-thing"  # sorted before all that it imports
    write_plugin("a-thing", folder, kind)
    for command in (["check"], ["format", "--check"]):
        ruff = [sys.executable, "-m", "ruff", *command, "--no-cache", folder]
        done = subprocess.run(ruff, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_readme_says_what_the_project_is_and_where_the_contract_stands(kind: str) -> None:
    files = render("my-thing", kind)
    readme, names = files["README.md"], Names.of("my-thing")
    assert "weightspace, a PyTorch Lightning framework in which networks learn" in " ".join(readme.split())
    assert "http" not in readme
    described = [pkgutil.resolve_name(path) for path in re.findall(r"python -m pydoc (\S+)", readme)]
    assert len(described) == 2
    assert all(item.__doc__ for item in described)
    (block,) = re.findall(r"```yaml\n(.*?)```", readme, flags=re.DOTALL)
    assert block in files["experiment.yaml"]
    assert names.entry(kind) in files["experiment.yaml"]


def test_a_new_plugins_tests_survive_an_edit_of_its_parameters(
    kind: str, installed: Callable[..., Iterator[tuple[Path, Names]]], capsys: pytest.CaptureFixture[str]
) -> None:
    with installed(kind) as (folder, names):
        module = folder / f"{names.module}.py"
        edited = module.read_text()
        for before, after in EDITS[kind]:
            assert before in edited
            edited = edited.replace(before, after)
        module.write_text(edited)
        # without unraisableexception, which has the garbage of the whole session collected several times
        options = ["-q", "-p", "no:cacheprovider", "-p", "no:unraisableexception", "-c", "/dev/null"]
        code = pytest.main([*options, f"--rootdir={folder}", str(folder)])
        assert code == 0, capsys.readouterr().out


def test_its_experiment_runs(
    kind: str, installed: Callable[..., Iterator[tuple[Path, Names]]], digits_zoo: Path, tmp_path: Path
) -> None:
    with installed(kind) as (folder, names):
        if kind == "source":
            fit = ["zoo", "fit", "--source", names.entry(kind), "--train", "40", "--val", "10", "--test", "10"]
            experiment = yaml.safe_load((folder / "experiment.yaml").read_text())
            short = ["--recipe", "siren", "--set", "steps=5", "hidden=[4]", "--out", experiment["data"]["zoo"]]
            assert main([*fit, *short]) == 0
        else:
            (tmp_path / "zoos").mkdir()
            (tmp_path / "zoos" / "digits").symlink_to(digits_zoo)
        assert main(["fit", "-c", str(folder / "experiment.yaml"), "--trainer.fast_dev_run", "true"]) == 0


def test_plugin_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["plugin", "new", "my-noise"]) == 0
    assert "pip install -e my-noise" in capsys.readouterr().out.replace("\n", " ")
    assert "(Augmentation)" in (tmp_path / "my-noise" / "my_noise.py").read_text()
    assert main(["plugin", "new", "my-noise"]) == 2
    assert "my-noise exists: choose another name" in capsys.readouterr().err
    assert main(["plugin", "new", "my-waves", "--kind", "source", "--out", "here"]) == 0
    assert "(Source)" in (tmp_path / "here" / "my_waves.py").read_text()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["here", "my-noise"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["My_Noise"], "expected lower-case words joined by hyphens, like my-noise, found 'My_Noise'"),
        (["../x"], "found '../x'"),
        (["sign-flip"], r"weightspace .* offers the augmentation 'sign_flip' already"),
        (["probe", "--kind", "backbone"], r"weightspace .* offers the backbone 'Probe' already"),
        (["digits", "--kind", "source"], r"weightspace .* offers the source 'digits' already"),
        (["torch"], "the module 'torch' exists already"),
        (["class"], "would hide a name that it needs itself"),
        (["none"], "its class None would hide a name"),
        (["weight-batch"], "its class WeightBatch would hide a name"),
        (["normaliser", "--kind", "backbone"], "its class Normaliser would hide a name"),
        (["my-noise", "--kind", "sorce"], "kind: there is no 'sorce': did you mean 'source'"),
    ],
)
def test_what_cannot_be_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str],
    message: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert main(["plugin", "new", *arguments]) == 2
    error = capsys.readouterr().err
    assert re.search(message, error), error
    assert not list(tmp_path.iterdir())


@pytest.mark.long
@pytest.mark.timeout(900)
def test_a_new_plugin_installs_and_does_what_its_readme_says(kind: str, tmp_path: Path) -> None:
    environment = tmp_path / "env"
    subprocess.run([sys.executable, "-m", "venv", "--system-site-packages", environment], check=True)
    site = Path(sys.prefix) / "lib"
    packages = next(site.glob("python*/site-packages"))
    target = next((environment / "lib").glob("python*/site-packages"))
    (target / "parent.pth").write_text(f"import site; site.addsitedir({str(packages)!r})\n")

    def run(*command: str, folder: Path = tmp_path) -> str:
        python = [environment / "bin" / "python", "-m"]
        done = subprocess.run([*python, *command], cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run("weightspace", "plugin", "new", "my-thing", "--kind", kind)
    folder = tmp_path / "my-thing"
    run("pip", "install", "--quiet", "--no-deps", "-e", ".", folder=folder)
    assert re.search(r"\d passed", run("pytest", "-q", folder=folder))
    indented = re.findall(r"^    (.*)$", (folder / "README.md").read_text(), flags=re.MULTILINE)
    commands = [shlex.split(line) for line in indented]
    ours = [command for command in commands if command[0] == "weightspace"]
    assert len(ours) >= 3
    for command in ours:
        run(*command, *SHORTER.get(" ".join(command[1:3]), []), folder=folder)
    for command in commands:
        if command[:2] == ["python", "-m"]:
            assert run(*command[2:], folder=folder)
    assert os.listdir(folder / "runs")
