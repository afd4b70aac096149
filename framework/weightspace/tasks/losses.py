"""The contrastive loss NT-Xent, and measures of the quality of embeddings."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from weightspace.checks import require
from weightspace.distributed import gather, world_size


def nt_xent(first: Tensor, second: Tensor, temperature: float) -> Tensor:
    """Normalised temperature-scaled cross-entropy (Chen et al., SimCLR, arXiv 2002.05709, equation 1).

    Rows i of ``first`` and ``second`` are a positive pair; all other rows of both, in all processes, are negatives.
    Returns the mean over all rows, or with several processes this one's share: the mean of the shares is the loss of
    the global batch, and the mean of their gradients, which DDP computes, is its gradient.

    Args:
        first, second: (n, D) embeddings, normalised here; n may differ between processes.
        temperature: > 0; cosines are divided by it.

    Raises:
        ConfigError: the temperature is not positive.

    >>> x = torch.eye(2)
    >>> round(float(nt_xent(x, x, 1.0)), 4)  # cosine 1 with the positive, 0 with both negatives
    0.5514
    """
    return nt_xent_and_own(first, second, temperature)[0]


def nt_xent_and_own(
    first: Tensor, second: Tensor, temperature: float, sizes: list[int] | None = None
) -> tuple[Tensor, Tensor]:
    """Returns ``nt_xent`` and the mean of the loss over this process's own rows, which are equal in one process.

    Args:
        first, second, temperature: see ``nt_xent``.
        sizes: n of each process, if all know them, see ``gather``.
    """
    require("temperature", temperature, temperature > 0, "> 0")
    count = len(first)
    own = F.normalize(torch.stack([first, second], dim=1), dim=2)  # (n, 2, D): the rows of a pair side by side
    everyone, begin = gather(own, sizes)
    rows, columns = own.flatten(0, 1), everyone.flatten(0, 1)
    logits = rows @ columns.T / temperature
    itself = torch.arange(2 * count, device=rows.device)
    logits = logits.scatter(1, (itself + 2 * begin)[:, None], -torch.inf)
    partner = (itself ^ 1) + 2 * begin
    summed = F.cross_entropy(logits, partner, reduction="sum")
    return summed * (world_size() / len(columns)), summed.detach() / (2 * count)


def positive_distance(first: Tensor, second: Tensor) -> Tensor:
    """Mean squared distance between the rows of positive pairs, in [0, 4] (Wang and Isola, arXiv 2005.10242).

    Args:
        first, second: (n, D) embeddings, normalised here.
    """
    return (F.normalize(first, dim=1) - F.normalize(second, dim=1)).square().sum(1).mean()


def uniformity(embeddings: Tensor) -> Tensor:
    """Log of the mean of exp(-2 d^2) over pairs of rows: 0 if all are equal, about -4 if uniform on the sphere.

    From Wang and Isola (arXiv 2005.10242).

    Args:
        embeddings: (n, D), normalised here; 0 for a single row, which has no pairs.
    """
    if len(embeddings) < 2:
        return embeddings.new_zeros(())
    distances = torch.pdist(F.normalize(embeddings, dim=1)).square()
    return torch.logsumexp(-2 * distances, dim=0) - math.log(len(distances))


def embedding_std(embeddings: Tensor) -> Tensor:
    """Standard deviation of coordinates of normalised rows times sqrt(D): 1 if uniform on the sphere, 0 at collapse.

    Args:
        embeddings: (n, D), normalised here.
    """
    rows = F.normalize(embeddings, dim=1)
    return rows.std(0, correction=0).mean() * rows.shape[1] ** 0.5
