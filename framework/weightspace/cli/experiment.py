"""The name of an experiment, which is the name of its runs' folder."""

from __future__ import annotations

from pathlib import Path

from weightspace.errors import ConfigError

#: Longest name of a folder in bytes, which is the limit of common file systems.
LONGEST = 255


def config_files(arguments: list[str]) -> list[Path]:
    """The YAML files given by the arguments.

    >>> [str(path) for path in config_files(["fit", "-c", "a.yaml", "--config=b.yaml"])]
    ['a.yaml', 'b.yaml']
    """
    files = []
    for argument, following in zip(arguments, [*arguments[1:], ""], strict=True):
        if argument in ("-c", "--config"):
            files.append(Path(following))
        elif argument.startswith("--config="):
            files.append(Path(argument.removeprefix("--config=")))
    return files


def check_name(name: str) -> str:
    """Returns the name after checking that it is a folder below the folder of all runs.

    Raises:
        ConfigError: the name leads outside this folder, or a part of it is not a valid name of a folder.

    >>> check_name("fmnist/supervised")
    'fmnist/supervised'
    """
    parts = Path(name).parts
    if not parts or name.startswith("/") or ".." in parts:
        raise ConfigError(f"experiment: expected a name of a folder below --runs, found {name!r}")
    for part in parts:
        if len(part.encode()) > LONGEST or "\0" in part:
            raise ConfigError(f"experiment: expected names of at most {LONGEST} bytes, found {part!r:.60}...")
    return name


def experiment_name(files: list[Path]) -> str:
    """The path of the last YAML file below a folder ``experiments``, without its suffix.

    Raises:
        ConfigError: there is no file.

    >>> experiment_name([Path("experiments/fmnist/supervised.yaml")])
    'fmnist/supervised'
    """
    if not files:
        raise ConfigError("no experiment: give a YAML with -c, or a name with --experiment")
    parts = files[-1].with_suffix("").parts
    if "experiments" in parts:
        return "/".join(parts[len(parts) - parts[::-1].index("experiments") :])
    return parts[-1]
