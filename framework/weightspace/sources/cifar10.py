"""CIFAR-10: 50,000 + 10,000 real 32 x 32 colour images, in the release's python or binary format."""

from __future__ import annotations

from weightspace.sources.cifar import Batch, Release, read_binary, read_python, source
from weightspace.sources.image_source import ImageSource

CLASS_NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
TRAINING = tuple(f"data_batch_{number}" for number in range(1, 6))
TEST = "test_batch"


def cifar10(path: str) -> ImageSource:
    """Reads the release, ``cifar-10-python.tar.gz`` or ``cifar-10-binary.tar.gz``, as it is or unpacked.

    The python format is pickled: only plain containers and arrays are read, whatever else a file asks for is refused.

    Args:
        path: the archive; or the folder with data_batch_1 ... data_batch_5 and test_batch (perhaps ending in .bin), or
            the one above.

    Raises:
        SourceError: a file is missing, damaged, or holds anything else; the message names it.
    """
    release = Release(path, TEST, ("cifar-10-batches-py", "cifar-10-batches-bin"), "CIFAR-10")

    def read(name: str) -> Batch:
        if release.binary:
            return read_binary(release, name, labels=1, column=0, classes=len(CLASS_NAMES))
        return read_python(release, name, "labels", classes=len(CLASS_NAMES))

    return source("cifar10", [read(name) for name in (*TRAINING, TEST)], CLASS_NAMES, {"path": release.place})
