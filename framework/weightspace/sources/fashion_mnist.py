"""Fashion-MNIST: 60,000 + 10,000 real 28 x 28 grey images of clothes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from weightspace.errors import SourceError
from weightspace.files.cache import cache_folder
from weightspace.sources.download import download
from weightspace.sources.idx import FILES, idx
from weightspace.sources.image_source import ImageSource

CLASS_NAMES = (
    "t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot",
)  # fmt: skip
#: Where Debian's package `dataset-fashion-mnist` puts the files.
SYSTEM_FOLDER = Path("/usr/share/datasets/fashion-mnist")
DOWNLOAD_URL = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
#: MD5 of the gzipped files, as the data set's authors publish them.
CHECKSUMS = {
    "train-images-idx3-ubyte.gz": "md5:8d4fb7e6c68d591d4c3dfef9ec88bf0d",
    "train-labels-idx1-ubyte.gz": "md5:25c81989df183df01b3e8a0aad5dffbe",
    "t10k-images-idx3-ubyte.gz": "md5:bef4ecab320f06d8554ea6380940ec79",
    "t10k-labels-idx1-ubyte.gz": "md5:bb300cfdad3c16e7a12a480ee83cd310",
}


def fashion_mnist(path: str | None = None) -> ImageSource:
    """Loads Fashion-MNIST from a folder, Debian's package, the cache, or the network, in this order.

    Args:
        path: a folder with the four idx files. Without it: `/usr/share/datasets/fashion-mnist`, then the
            cache folder (`WEIGHTSPACE_CACHE`, default `~/.cache/weightspace`), then a checked download into it.

    Raises:
        SourceError: the files are damaged, or cannot be downloaded.
    """
    if path is not None:
        return idx(path, CLASS_NAMES, name="fashion-mnist")
    folder = locate(SYSTEM_FOLDER, cache_folder() / "fashion-mnist", DOWNLOAD_URL, CHECKSUMS)
    # found again by the same search, wherever the files lie then
    return replace(idx(str(folder), CLASS_NAMES, name="fashion-mnist"), arguments={})


def locate(system: Path, cache: Path, url: str, checksums: dict[str, str]) -> Path:
    """The first of the two folders that has all four files; else the cache, after a download."""
    for folder in (system, cache):
        if all((folder / name).is_file() or (folder / f"{name}.gz").is_file() for name in FILES):
            return folder
    return fetch(cache, url, checksums)


def fetch(folder: Path, url: str, checksums: dict[str, str]) -> Path:
    """Downloads what is missing or damaged in ``folder``, and checks every file.

    Args:
        folder: where the files go.
        url: the folder on the server, ending in a slash.
        checksums: "algorithm:hex" of each gzipped file.

    Returns:
        The folder.

    Raises:
        SourceError: no network, or another checksum than expected; nothing damaged stays in the folder.
        MissingExtraError: requests is not installed.
    """
    for name in (f"{file}.gz" for file in FILES):
        try:
            download(f"{url}{name}", folder / name, checksums[name])
        except SourceError as error:
            raise SourceError(
                f"{error}. Put the four files into a folder and give its path, or install Debian's package "
                "dataset-fashion-mnist"
            ) from error
    return folder
