"""scikit-learn's handwritten digits: 1,797 real 8 x 8 grey images, in the package itself."""

from __future__ import annotations

import numpy as np

from weightspace.errors import MissingExtraError
from weightspace.sources.image_source import ImageSource


def digits() -> ImageSource:
    """Loads the digits (UCI optical recognition of handwritten digits, test part). No own test set.

    Raises:
        MissingExtraError: scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise MissingExtraError("scikit-learn", "data", "the source 'digits'") from error
    data = load_digits()
    images = data.images.astype(np.uint8)[..., None]
    names = tuple(str(name) for name in data.target_names)
    return ImageSource("digits", images, data.target.astype(np.int64), names, num_train=len(images), levels=16)
