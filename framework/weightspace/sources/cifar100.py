"""CIFAR-100: 50,000 + 10,000 real 32 x 32 colour images of 100 classes, in the release's python or binary format."""

from __future__ import annotations

from weightspace.checks import check_choice
from weightspace.errors import SourceError
from weightspace.sources.cifar import Batch, Release, class_names, read_binary, read_python, source
from weightspace.sources.image_source import ImageSource

#: How many classes there are.
LABELS = {"fine": 100, "coarse": 20}


def cifar100(path: str, labels: str = "fine") -> ImageSource:
    """Reads the release, ``cifar-100-python.tar.gz`` or ``cifar-100-binary.tar.gz``, as it is or unpacked.

    The python format is pickled: only plain containers and arrays are read, whatever else a file asks for is refused.

    Args:
        path: the archive; or the folder with train, test and meta (or train.bin, test.bin and fine_label_names.txt), or
            the one above.
        labels: "fine" (100 classes), or "coarse" (20). Their names are those of the release.

    Raises:
        SourceError: a file is missing, damaged, or holds anything else; the message names it.
    """
    check_choice("source 'cifar100': labels", labels, LABELS, SourceError)
    release = Release(path, "train", ("cifar-100-python", "cifar-100-binary"), "CIFAR-100")

    def read(name: str) -> Batch:
        if release.binary:
            return read_binary(release, name, labels=2, column=("coarse", "fine").index(labels), classes=LABELS[labels])
        return read_python(release, name, f"{labels}_labels", classes=LABELS[labels])

    names = class_names(release, f"{labels}_label_names", LABELS[labels])
    arguments = {"path": release.place, "labels": labels}
    return source("cifar100", [read("train"), read("test")], names, arguments)
