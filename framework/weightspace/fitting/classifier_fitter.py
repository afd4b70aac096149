"""Training many small classifiers at once, each with its own hyperparameters."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from weightspace.batch import WeightBatch
from weightspace.fitting.base import Fitted, Fitter
from weightspace.fitting.initialise import initialise
from weightspace.fitting.recipes import Recipe
from weightspace.network import evaluate
from weightspace.sources.base import Objects
from weightspace.sources.classifiers import ClassifierSource
from weightspace.spec import NetworkSpec

#: Number of networks that are trained together.
BLOCK = 64
#: Number of training samples per step, which are the same for all networks of a block.
SAMPLES_PER_STEP = 128


class ClassifierFitter(Fitter):
    """Trains classifiers with cross-entropy and AdamW on batches of samples; always eager, in complete blocks.

    Args:
        recipe: architecture, initialisation, steps, betas and epsilon; the learning rate and the other hyperparameters
            come from the objects.
            spec: architecture of the networks.
            device: device on which they are trained.
    """

    recipe_fields = frozenset(
        {"name", "hidden", "activation", "omega", "output_offset", "weight_init", "bias_init", "init_scale", "init",
         "betas", "epsilon", "steps"}
    )  # fmt: skip
    block = BLOCK

    def __init__(self, recipe: Recipe, spec: NetworkSpec, device: torch.device | str = "cpu") -> None:
        super().__init__(recipe, spec, "eager", device)
        self.quality = ["test accuracy", "train accuracy"]

    def fit_objects(self, source: Objects, networks: list[tuple[int, int, int]], seed: int) -> Fitted:
        """Trains one block of networks (object, view, attempt); targets are their test accuracies."""
        assert isinstance(source, ClassifierSource)
        filled = networks + networks[-1:] * (BLOCK - len(networks))  # one shape for equal bits
        drawn = [source.hyperparameters(item) for item, _, _ in filled]
        initial = initialise(self.recipe, self.spec, seed, filled) * torch.tensor([[f.init_scale] for f in drawn])
        training_sets = [source.training_set(item, view) for item, view, _ in filled]
        labels, seen = (torch.stack(part).to(self.device) for part in zip(*training_sets, strict=True))
        rates = torch.tensor([[f.learning_rate] for f in drawn], device=self.device)
        decays = torch.tensor([[f.weight_decay] for f in drawn], device=self.device)
        lengths = torch.tensor([[max(1, round(f.steps * self.recipe.steps))] for f in drawn], device=self.device)
        features = source.features[: source.train_samples].to(self.device)
        params = self._train(initial.to(self.device), features, labels, seen, rates, decays, lengths).cpu()[
            : len(networks)
        ]
        accuracies = source.accuracies(WeightBatch(params, self.spec))
        return Fitted(params, accuracies, targets=accuracies[:, :1].clone())

    def _train(
        self, params: Tensor, x: Tensor, labels: Tensor, seen: Tensor, rates: Tensor, decays: Tensor, lengths: Tensor
    ) -> Tensor:
        """Returns (B, P) parameters after each network's own number of steps (B, 1)."""
        first, second = torch.zeros_like(params), torch.zeros_like(params)
        beta1, beta2 = self.recipe.betas
        order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0)).to(self.device)
        for step in range(int(lengths.max())):
            rows = order.roll(-step * SAMPLES_PER_STEP)[:SAMPLES_PER_STEP]
            gradient = self._gradient(params, x[rows], labels[:, rows], seen[:, rows])
            first = beta1 * first + (1 - beta1) * gradient
            second = beta2 * second + (1 - beta2) * gradient.square()
            momentum = first / (1 - beta1 ** (step + 1))
            scale = (second / (1 - beta2 ** (step + 1))).sqrt() + self.recipe.epsilon
            moved = params - rates * (momentum / scale + decays * params)
            params = torch.where(step < lengths, moved, params)
        return params

    def _gradient(self, params: Tensor, x: Tensor, labels: Tensor, seen: Tensor) -> Tensor:
        """(B, P) gradient of each network's mean cross-entropy over its own samples."""
        with torch.enable_grad():
            leaf = params.detach().requires_grad_()
            logits = evaluate(WeightBatch(leaf, self.spec), x)  # (B, N, K)
            losses = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none").reshape(labels.shape)
            total = ((losses * seen).sum(1) / seen.sum(1).clamp(min=1)).sum()
            (gradient,) = torch.autograd.grad(total, leaf)
        return gradient
