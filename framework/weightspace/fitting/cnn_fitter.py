"""Training many small convolutional networks at once, each with its own hyperparameters and images."""

from __future__ import annotations

from itertools import islice

import torch
from torch import Tensor
from torch.nn import functional as F

from weightspace.batch import WeightBatch, unpack_layers
from weightspace.fitting.base import Fitted, Fitter
from weightspace.fitting.initialise import initialise
from weightspace.fitting.recipes import Recipe
from weightspace.layers import Convolution
from weightspace.network import convolved_outputs
from weightspace.sources.base import Objects
from weightspace.sources.cnns import CHECKPOINTS, NAMES, OPTIMISERS, CNNSource, Training
from weightspace.spec import NetworkSpec

#: Images of a training step.
IMAGES = 64
#: Networks that are trained together: as fast as sixteen, and a shard's last group needs fewer to be filled up.
GROUP = 8
#: Momentum of sgd; betas of adam; decay of rmsprop; what is added to roots.
MOMENTUM, BETAS, DECAY, EPSILON = 0.9, (0.9, 0.999), 0.99, 1e-8


def cnn_spec(recipe: Recipe, source: CNNSource) -> NetworkSpec:
    """The architecture: 3 x 3 convolutions of stride 2, averaged over the last map, then a linear layer."""
    kernels = (*(Convolution(3, 2, 1) for _ in recipe.hidden), None)
    widths = (source.in_dim, *recipe.hidden, source.out_dim)
    return NetworkSpec(widths, recipe.activation, recipe.omega, recipe.output_offset, kernels)


class CNNFitter(Fitter):
    """Trains groups of networks with cross-entropy; always eager.

    Args:
        recipe: widths, activation, initialisation and steps; all else comes from the objects.
        spec: architecture of the networks.
        device: device on which they are trained.
    """

    recipe_fields = frozenset(
        {"name", "hidden", "activation", "omega", "output_offset", "weight_init", "bias_init", "init_scale", "init",
         "steps"}
    )  # fmt: skip
    #: all checkpoints of a group
    block = GROUP * len(CHECKPOINTS)

    def __init__(self, recipe: Recipe, spec: NetworkSpec, device: torch.device | str = "cpu") -> None:
        super().__init__(recipe, spec, "eager", device)
        self.quality = ["test accuracy", "train accuracy", *NAMES]

    def blocks(self, objects: Tensor) -> list[int]:
        """Whole trainings, however many of their checkpoints are wanted: a cut inside of one would train it twice."""
        checkpoints = objects.unique_consecutive(return_counts=True)[1]
        return [int(part.sum()) for part in checkpoints.split(GROUP)]

    def fit_objects(self, source: Objects, networks: list[tuple[int, int, int]], seed: int) -> Fitted:
        """Trains the networks (object, view, attempt); targets are their accuracies, or the gaps between these."""
        assert isinstance(source, CNNSource)
        trainings = list(dict.fromkeys((item, attempt) for item, _, attempt in networks))
        found: dict[tuple[int, int, int], Tensor] = {}
        for first in range(0, len(trainings), GROUP):
            group = trainings[first : first + GROUP]
            filled = group + group[-1:] * (GROUP - len(group))  # one shape for equal bits
            for view, params in enumerate(self.train(source, filled, seed)):
                found |= {(item, view, attempt): row for (item, attempt), row in zip(group, params, strict=False)}
        params = torch.stack([found[network] for network in networks])
        accuracies = source.accuracies(WeightBatch(params, self.spec))
        drawn = torch.tensor([source.training(item).numbers() for item, _, _ in networks])
        test, gap = accuracies[:, :1], accuracies[:, 1:] - accuracies[:, :1]
        targets = {"accuracy": [test], "gap": [gap], "both": [test, gap]}[source.target]
        return Fitted(params, torch.cat([accuracies, drawn], dim=1), torch.cat(targets, dim=1))

    def train(self, source: CNNSource, trainings: list[tuple[int, int]], seed: int) -> list[Tensor]:
        """Trains networks together: (B, P) parameters at each of ``CHECKPOINTS``.

        Args:
            source: the trainings.
            trainings: (object, attempt) of each network.
            seed: of the zoo, for the initial weights.
        """
        steps, items = self.recipe.steps, [item for item, _ in trainings]
        drawn = [source.training(item) for item in items]
        scales = torch.tensor([[training.init_scale] for training in drawn])
        initial = initialise(self.recipe, self.spec, seed, [(item, 0, attempt) for item, attempt in trainings]) * scales
        order = torch.stack([torch.from_numpy(source.order(item, steps, IMAGES)) for item in items])
        kept = torch.stack([source.kept(item, steps, IMAGES, self.spec.widths[-2]) for item in items])
        optimiser = _Optimiser(drawn, initial.to(self.device))
        rates = torch.tensor([training.dropout for training in drawn], device=self.device)
        ends = [max(1, round(share * steps)) for share in CHECKPOINTS]
        taken: dict[int, Tensor] = {}
        for step in range(steps):
            images, labels = source.inputs(order[:, step]), source.labels[order[:, step]]
            mask = kept[:, step].to(self.device) / (1 - rates)[:, None, None]
            gradient = self._gradient(optimiser.params, images.to(self.device), labels.to(self.device), mask)
            optimiser.step(gradient)
            if step + 1 in ends:
                taken[step + 1] = optimiser.params.cpu()
        return [taken[end] for end in ends]

    def _gradient(self, params: Tensor, images: Tensor, labels: Tensor, mask: Tensor) -> Tensor:
        """(B, P) gradient of each network's mean cross-entropy over its images (B, N, C, H, W)."""
        with torch.enable_grad():
            leaf = params.detach().requires_grad_()
            *_, maps = islice(convolved_outputs(leaf, self.spec, images), self.spec.num_layers - 1)
            features = maps.mean((3, 4)).mT * mask  # (B, N, n)
            weights, biases = unpack_layers(leaf, self.spec)
            logits = torch.baddbmm(biases[-1].unsqueeze(1), features, weights[-1].mT)
            total = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="sum") / images.shape[1]
            (gradient,) = torch.autograd.grad(total, leaf)
        return gradient


class _Optimiser:
    """Steps of B networks, each by its own method and rate."""

    def __init__(self, trainings: list[Training], params: Tensor) -> None:
        def column(values: list[float]) -> Tensor:
            return torch.tensor(values, device=params.device)[:, None]

        self.params = params
        self.rates = column([training.learning_rate for training in trainings])
        self.decays = column([training.weight_decay for training in trainings])
        kinds = column([OPTIMISERS.index(training.optimiser) for training in trainings])
        self.sgd, self.adam = kinds == OPTIMISERS.index("sgd"), kinds == OPTIMISERS.index("adam")
        self.first, self.second, self.steps = torch.zeros_like(params), torch.zeros_like(params), 0

    def step(self, gradient: Tensor) -> None:
        """Moves all networks."""
        self.steps += 1
        gradient = gradient + self.decays * self.params
        beta1, beta2 = BETAS
        self.first = torch.where(self.sgd, MOMENTUM * self.first + gradient, torch.lerp(gradient, self.first, beta1))
        decay = torch.where(self.adam, beta2, DECAY).to(gradient)
        self.second = decay * self.second + (1 - decay) * gradient.square()
        root = (self.second / torch.where(self.adam, 1 - beta2**self.steps, 1.0).to(gradient)).sqrt() + EPSILON
        direction = torch.where(self.adam, self.first / (1 - beta1**self.steps), gradient) / root
        self.params = self.params - self.rates * torch.where(self.sgd, self.first, direction)
