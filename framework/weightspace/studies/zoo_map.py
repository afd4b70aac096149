"""A map of a zoo: networks that are alike lie beside each other."""

from __future__ import annotations

import torch
from torch import Tensor

from weightspace.checks import check_whole
from weightspace.errors import ConfigError, MissingExtraError
from weightspace.studies.study_file import LARGEST_SEED

#: Fewest networks of which there is a map.
FEWEST = 5


def positions(vectors: Tensor, seed: int = 0) -> Tensor:
    """Positions in the plane by t-SNE (van der Maaten and Hinton, 2008; scikit-learn's), from the cosine of vectors.

    Args:
        vectors: (n, D) embeddings, of five networks or more.
        seed: of the method, in 0..2^32 - 1; it begins with the first principal components.

    Returns:
        (n, 2). Which networks lie together means something, distances between groups do not.

    Raises:
        MissingExtraError: scikit-learn is not installed.
        ConfigError: the seed is out of range, there are too few networks, or embeddings that are not finite.
    """
    check_whole("seed", seed, low=0, high=LARGEST_SEED)
    if len(vectors) < FEWEST:
        raise ConfigError(f"a map needs {FEWEST} networks or more, found {len(vectors)}")
    if not vectors.isfinite().all():
        raise ConfigError("a map needs embeddings that are finite")
    try:
        from sklearn.manifold import TSNE
    except ImportError as error:
        raise MissingExtraError("scikit-learn", "data", "a map of a zoo") from error
    directions = torch.nn.functional.normalize(vectors.double(), dim=1)
    perplexity = min(30.0, (len(vectors) - 1) / 3)
    method = TSNE(perplexity=perplexity, init="pca", random_state=seed, n_jobs=1)
    return torch.from_numpy(method.fit_transform(directions.numpy(force=True))).float()
