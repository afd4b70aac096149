"""Reading architectures from modules: chains of all kinds, and what is none."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from convolved_networks import SHAPES, convolved, module_of, some_images
from torch import nn
from torch.nn import functional as F
from weightspace.batch import WeightBatch
from weightspace.errors import SpecError
from weightspace.module_spec import spec_of
from weightspace.network import evaluate
from weightspace.spec import NetworkSpec


@pytest.mark.parametrize("activation", ["relu", "tanh", "sine", "several"])
@pytest.mark.parametrize("name", SHAPES)
def test_specs_come_back_from_their_modules(name: str, activation: str) -> None:
    batch = convolved(name, activation, count=1)
    module, images = module_of(batch.spec, batch.params[0]), some_images(batch.spec)
    spec = spec_of(module, images)
    assert spec == replace(batch.spec, output_offset=0.0)


class Own(nn.Module):
    """A network as people write them, by functions and methods."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 3, 3, 2, 1), nn.Conv2d(3, 4, 3, padding=(0, 1))
        self.drop, self.fc1, self.fc2 = nn.Dropout(0.3), nn.Linear(4 * 3 * 5, 6), nn.Linear(6, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.relu(self.first(x))
        x = self.drop(self.second(x).relu())
        x = torch.relu(self.fc1(torch.flatten(x, 1)))
        return self.fc2(x)


def test_functions_and_methods_are_followed() -> None:
    torch.manual_seed(0)
    module, images = Own().double(), torch.rand(3, 1, 10, 9, dtype=torch.float64)
    assert module.training
    spec = spec_of(module, images)
    assert module.training
    assert str(spec) == "1-3-4-6-2 relu, conv 3x3/2+1, conv 3x3+0x1, flat 3x5"
    batch = WeightBatch(spec.pack(module.state_dict())[None], spec)
    assert (evaluate(batch, images)[0] - module.eval()(images)).abs().max() < 1e-9


class Sized(nn.Module):
    """Flattens a map by asking for its size, in one of the usual ways."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.conv, self.fc, self.way = nn.Conv2d(1, 3, 3), nn.Linear(3 * 4, 2), way

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        count = x.size(0)
        x = F.relu(self.conv(x))
        if self.way == "size":
            return self.fc(x.view(x.size(0), -1))
        if self.way == "shape":
            return self.fc(x.reshape(x.shape[0], -1))
        return self.fc(x.view(count, 3 * 2 * 2))


@pytest.mark.parametrize("way", ["size", "shape", "count"])
def test_maps_are_flattened_by_their_sizes(way: str) -> None:
    module, images = Sized(way).double(), torch.rand(3, 1, 4, 4, dtype=torch.float64)
    spec = spec_of(module, images)
    batch = WeightBatch(spec.pack(module.state_dict())[None], spec)
    assert (evaluate(batch, images)[0] - module(images)).abs().max() < 1e-12


class Mean(nn.Module):
    """Averages a map over some of its dimensions."""

    def __init__(self, *dims: int) -> None:
        super().__init__()
        self.conv, self.fc, self.dims = nn.Conv2d(1, 4, 2), nn.Linear(4, 2), dims

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(F.relu(self.conv(x)).mean(self.dims))


def test_means_are_over_rows_and_columns() -> None:
    assert str(spec_of(Mean(-1, 2), torch.zeros(1, 1, 5, 5))) == "1-4-2 relu, conv 2x2"
    for dims in ((1, 2), (1, 3)):
        with pytest.raises(SpecError, match="averaged over its rows and columns"):
            spec_of(Mean(*dims), torch.zeros(1, 1, 5, 5))


class Siren(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(2, 5), nn.Linear(5, 4), nn.Linear(4, 1)])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.sin(30.0 * self.layers[0](x))
        x = torch.sin(self.layers[1](x) * 2)
        return self.layers[2](x)


class Normalised(nn.Module):
    """Layers that are defined in one order, and used in that of their names."""

    def __init__(self, defined: str, used: str) -> None:
        super().__init__()
        for name in defined:
            self.add_module(name, nn.BatchNorm1d(4) if name in "xyz" else nn.Linear(4, 4))
        self.used = used

    def forward(self, points: torch.Tensor) -> torch.Tensor:
        for place, name in enumerate(self.used):
            points = getattr(self, name)(points)
            if self.used[place + 1 : place + 2] in ("b", "c"):
                points = torch.relu(points)
        return points


@pytest.mark.parametrize(
    ("defined", "used", "said"),
    [
        ("bac", "abc", "used in the order a, b, c, and the state_dict has b, a, c"),
        ("abcxy", "axbyc", "used in the order a, x, b, y, c, and the state_dict has a, b, c, x, y"),
        ("abxc", "axbc", "used in the order a, x, b, c, and the state_dict has a, b, x, c"),
        ("axc", "ac", "used in the order a, c, and the state_dict has a, x, c"),
        ("axbc", "axbxc", "layer x: it is used twice"),
    ],
)
def test_layers_must_be_defined_in_the_order_of_use(defined: str, used: str, said: str) -> None:
    with pytest.raises(SpecError, match=said):
        spec_of(Normalised(defined, used), torch.zeros(2, 4))
    assert spec_of(Normalised("axbyc", "axbyc"), torch.zeros(2, 4)).widths == (4, 4, 4, 4)


def test_what_is_kept_in_evaluation_stays_so() -> None:
    module = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.ReLU(), nn.Linear(3, 1))
    module[1].eval()
    spec_of(module, torch.zeros(2, 2))
    assert [part.training for part in module.modules()] == [True, True, False, True, True]


def test_frequencies_of_sines() -> None:
    torch.manual_seed(0)
    module, points = Siren().double(), torch.rand(7, 2, dtype=torch.float64)
    spec = spec_of(module, points)
    assert spec == NetworkSpec((2, 5, 4, 1), "sine", (30.0, 2.0))
    batch = WeightBatch(spec.pack(module.state_dict())[None], spec)
    assert (evaluate(batch, points)[0] - module(points)).abs().max() < 1e-9


def test_pooling_by_a_layer_of_torch() -> None:
    module = nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 2))
    assert spec_of(module, torch.zeros(1, 1, 8, 8)).kernels[1] is None
    module = nn.Sequential(*module[:3], nn.Dropout(0.2), *module[3:])
    assert spec_of(module, torch.zeros(1, 1, 8, 8)).kernels[1] is None


class Skip(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.last = nn.Linear(2, 4), nn.Linear(4, 4), nn.Linear(4, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.tanh(self.first(x))
        return self.last(x + torch.tanh(self.second(x)))


class Branching(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x) if x.sum() > 0 else x


class Scaled(Siren):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = 0.5 * torch.sin(30.0 * self.layers[0](x))
        return self.layers[2](torch.sin(self.layers[1](x)))


class Squared(Siren):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.layers[0](x)
        return self.layers[1](torch.sin(torch.mul(x, x)))


class Twice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.again, self.last = nn.Linear(2, 5), nn.Linear(5, 5), nn.Linear(5, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.sin(self.again(torch.sin(self.first(x))))
        return self.last(torch.sin(self.again(x)))


class OnMaps(nn.Module):
    """A linear layer along the columns of a map."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 2, 3, padding=1), nn.Linear(5, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.second(torch.relu(self.first(x)))


class AveragedSiren(nn.Module):
    """A map that is averaged between its frequency and its sine."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Conv2d(1, 2, 3), nn.Linear(2, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(torch.sin((30.0 * self.first(x)).mean((2, 3))))


class Dropping(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(2, 3), nn.Linear(3, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(F.dropout(self.first(x).relu(), 0.5))


UNTRACKED = nn.BatchNorm2d(2, track_running_stats=False)
AVERAGED = [nn.Conv2d(1, 2, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1)]
READ = [nn.Flatten(), nn.Linear(2, 3)]
LINEAR, SAME = nn.Linear(2, 3), nn.Conv2d(2, 2, 3, padding="same")


@pytest.mark.parametrize(
    ("module", "shape", "message"),
    [
        (Skip(), (1, 2), "tanh.*goes to 2 places"),
        (Branching(), (1, 2), "cannot be followed"),
        (Scaled(), (1, 2), "mul.*a product stands between a layer and its sine, and not before a layer"),
        (Twice(), (1, 2), "layer again: it is used twice"),
        (Squared(), (1, 2), "mul.*a product of results is no frequency"),
        (OnMaps(), (1, 1, 5, 5), "layer second: a linear layer reads vectors"),
        (nn.Sequential(*AVERAGED, nn.Conv2d(2, 2, 1), nn.ReLU()), (1, 1, 5, 5), "layer 3: a convolution of a map that"),
        (nn.Sequential(AVERAGED[0], *AVERAGED[:0:-1], *READ), (1, 1, 5, 5), "layer 1: a map is averaged after a conv"),
        (nn.Sequential(AVERAGED[2], *READ), (1, 2, 5, 5), "layer 0: a map is averaged after a convolution's"),
        (AveragedSiren(), (1, 1, 5, 5), "mean.* a map is averaged after a convolution's activation"),
        (nn.Sequential(LINEAR, nn.ReLU(), nn.BatchNorm1d(3), nn.Linear(3, 1)), (1, 2), "layer 2: .* directly after"),
        (nn.Sequential(nn.Conv2d(1, 2, 3), UNTRACKED), (1, 1, 5, 5), "layer 1: .* no running statistics"),
        (nn.Sequential(LINEAR, nn.LayerNorm(3), nn.ReLU(), nn.Linear(3, 1)), (1, 2), "layer 1: LayerNorm has no place"),
        (nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.MaxPool2d(2)), (1, 1, 5, 5), "layer 2: MaxPool2d has no"),
        (nn.Sequential(nn.Conv2d(2, 2, 3, groups=2), nn.ReLU()), (1, 2, 5, 5), "layer 0: a convolution of one group"),
        (nn.Sequential(SAME, nn.ReLU()), (1, 2, 5, 5), "layer 0: a convolution of one group"),
        (nn.Sequential(LINEAR, nn.Linear(3, 1)), (1, 2), "layer 1: there is no activation between"),
        (nn.Sequential(LINEAR, nn.ReLU(), nn.ReLU(), nn.Linear(3, 1)), (1, 2), "layer 2: an activation follows each"),
        (nn.Sequential(LINEAR, nn.ReLU()), (1, 2), "two layers or more, found 1"),
        (nn.Sequential(LINEAR, nn.ReLU(), nn.Linear(3, 1), nn.ReLU()), (1, 2), "last layer is linear, and relu"),
        (Dropping(), (1, 2), "it drops in evaluation, too: give dropout training=self.training"),
        (nn.Sequential(LINEAR, nn.GELU(), nn.Linear(3, 1)), (1, 2), "layer 1: GELU has no place"),
        (nn.Sequential(LINEAR, nn.ReLU(), nn.Linear(3, 1)), (1, 5), "cannot be followed"),
        (nn.Sequential(nn.Flatten(), nn.Linear(25, 3), nn.ReLU(), nn.Linear(3, 1)), (1, 1, 5, 5), r"1: .* \(N, 25\)"),
        (3, (1, 2), "takes a module and an example"),
    ],
)  # fmt: skip
def test_what_is_no_chain(module: nn.Module, shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        spec_of(module, torch.zeros(shape))
