from __future__ import annotations

import lightning.pytorch as pl
from lightning.pytorch.callbacks import ModelCheckpoint, Timer
from weightspace.augment import Augmentation, build_augmentations
from weightspace.augment.states import PositionKeys, number_occurrences, with_augmentations
from weightspace_plugins.noise import GaussianNoise


def keys(augmentations: list[Augmentation]) -> list[str]:
    return [augmentation.state_key for augmentation in number_occurrences(augmentations)]


def test_keys_are_names_and_occurrences() -> None:
    chain = build_augmentations(["gaussian_noise", "permute", "gaussian_noise", GaussianNoise()])
    own = ["augmentation/gaussian_noise/0", "augmentation/permute/0", "augmentation/gaussian_noise/1"]
    assert keys(chain) == [*own, "augmentation/GaussianNoise/0"]
    assert keys(chain[1:3]) == ["augmentation/permute/0", "augmentation/gaussian_noise/0"]
    assert keys([chain[0], chain[0]]) == own[:1], "an instance that is in the chain twice has one state"


def test_states_of_earlier_versions_are_found() -> None:
    chain = build_augmentations(["permute", "gaussian_noise", "gaussian_noise"])
    number_occurrences(chain)
    states = {"augmentation/1/GaussianNoise": {"strength": 1.0}, "augmentation/2/GaussianNoise": {"strength": 2.0}}
    checkpoint = {"callbacks": states}
    PositionKeys(chain).on_load_checkpoint(pl.Trainer(logger=False), pl.LightningModule(), checkpoint)
    assert {key: state["strength"] for key, state in states.items()} == {
        "augmentation/gaussian_noise/0": 1.0,
        "augmentation/gaussian_noise/1": 2.0,
    }


def test_augmentations_come_first_and_checkpoints_last_also_with_another_chain() -> None:
    chain, other = build_augmentations(["permute", "gaussian_noise"]), build_augmentations(["sign_flip"])
    timer, checkpoint = Timer(), ModelCheckpoint()
    once = with_augmentations([checkpoint, timer], chain)
    assert once[1:] == [*chain, timer, checkpoint]
    twice = with_augmentations(once, other)
    assert twice[1:] == [*other, timer, checkpoint]
    assert [type(callbacks[0]) for callbacks in (once, twice)] == [PositionKeys, PositionKeys]
