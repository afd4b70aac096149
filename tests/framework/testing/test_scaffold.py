from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from weightspace.cli.main import main
from weightspace.entry_points import plugins
from weightspace.testing.scaffold import render, write_plugin

ROOT = Path(__file__).parents[3]


def test_the_example_is_what_the_template_gives() -> None:
    folder = ROOT / "plugins" / "example"
    tracked = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "."],
        cwd=folder, capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    assert {name: (folder / name).read_text(encoding="utf-8") for name in tracked} == render("scaled-noise")


def test_names_are_put_everywhere() -> None:
    files = render("my-own-noise")
    assert set(files) == {"README.md", "pyproject.toml", "my_own_noise.py", "tests/test_my_own_noise.py"}
    assert 'my_own_noise = "my_own_noise:MyOwnNoise"' in files["pyproject.toml"]
    assert not any(word in text for text in files.values() for word in ("scaled-noise", "scaled_noise", "ScaledNoise"))
    for name, text in files.items():
        if name.endswith(".py"):
            compile(text, name, "exec")


def test_plugin_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["plugin", "new", "my-noise"]) == 0
    assert "pip install -e my-noise" in capsys.readouterr().out.replace("\n", " ")
    assert (tmp_path / "my-noise" / "my_noise.py").is_file()
    assert main(["plugin", "new", "my-noise"]) == 2
    assert "my-noise exists: choose another name" in capsys.readouterr().err
    assert main(["plugin", "new", "other-noise", "--out", "here"]) == 0
    assert (tmp_path / "here" / "other_noise.py").is_file()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["here", "my-noise"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("My_Noise", "expected lower-case words joined by hyphens, like my-noise, found 'My_Noise'"),
        ("../x", "found '../x'"),
        ("sign-flip", r"weightspace .* offers the augmentation 'sign_flip' already"),
        ("torch", "the module 'torch' exists already"),
        ("class", "would hide a name that it needs itself"),
        ("none", "its class None would hide a name"),
        ("weight-batch", "its class WeightBatch would hide a name"),
    ],
)
def test_names_that_cannot_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["plugin", "new", name]) == 2
    error = capsys.readouterr().err
    assert re.search(message, error), error
    assert not list(tmp_path.iterdir())


def test_a_new_plugins_tests_survive_an_edit_of_its_parameters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "my-own-noise"
    module = next(path for path in write_plugin("my-own-noise", folder) if path.name == "my_own_noise.py")
    edited = module.read_text().replace("scale: float = 0.05", "strength: float = 7.0, bias: bool = True")
    edited = edited.replace("scale", "strength").replace("0, 1)", "1, 9)\n        self.bias = bias")
    module.write_text(edited)
    metadata = folder / "my_own_noise-0.1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: my-own-noise\nVersion: 0.1\n")
    (metadata / "entry_points.txt").write_text("[weightspace.augmentations]\nmy_own_noise = my_own_noise:MyOwnNoise\n")
    monkeypatch.syspath_prepend(str(folder))
    plugins.cache_clear()
    try:
        code = pytest.main(["-q", "-p", "no:cacheprovider", "-c", "/dev/null", f"--rootdir={folder}", str(folder)])
    finally:
        plugins.cache_clear()
        for name in ("my_own_noise", "test_my_own_noise"):
            sys.modules.pop(name, None)
    assert code == 0, capsys.readouterr().out


@pytest.mark.long
@pytest.mark.timeout(600)
def test_a_new_plugin_installs_and_passes_its_own_tests(tmp_path: Path) -> None:
    environment = tmp_path / "env"
    subprocess.run([sys.executable, "-m", "venv", "--system-site-packages", environment], check=True)
    python, site = environment / "bin" / "python", Path(sys.prefix) / "lib"
    packages = next(site.glob("python*/site-packages"))
    target = next((environment / "lib").glob("python*/site-packages"))
    (target / "parent.pth").write_text(f"import site; site.addsitedir({str(packages)!r})\n")

    def run(*command: str) -> str:
        done = subprocess.run([python, *command], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run("-m", "weightspace.cli.main", "plugin", "new", "my-noise")
    run("-m", "pip", "install", "--quiet", "--no-deps", "-e", "my-noise")
    assert "my_noise" in run("-m", "weightspace.cli.main", "augmentations")
    assert re.search(r"\d\d passed", run("-m", "pytest", "-q", "my-noise"))
