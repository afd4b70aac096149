"""Changes of a configuration: dotted keys, and what lies above what."""

from __future__ import annotations

from typing import Any

import pytest
from weightspace.errors import ConfigError
from weightspace.studies.overrides import changed_keys, leaves, merged, undotted


def test_dotted_keys_are_nested_at_every_level() -> None:
    changes = {"model.init_args": {"backbone.class_path": "GNN"}, "model.init_args.learning_rate": 1e-3, "a": None}
    nested = {"model": {"init_args": {"backbone": {"class_path": "GNN"}, "learning_rate": 1e-3}}, "a": None}
    assert undotted(changes, "v") == nested
    assert undotted(nested, "v") == nested


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"a.b": 1, "a": {"b": 2}}, "v: a.b is given twice"),
        ({"a": {"b.c": 1, "b": {"c": 1}}}, "v, a: b.c is given twice"),
        ({3: 1}, "expected keys like trainer.max_epochs, found 3"),
        ({"a..b": 1}, "found 'a..b'"),
        ({".a": 1}, "found '.a'"),
        ({"": 1}, "found ''"),
    ],
)
def test_what_is_no_change_is_refused(changes: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        undotted(changes, "v")


def test_lists_and_classes_are_replaced_and_nothing_is_mutated() -> None:
    below = {"data": {"augmentations": ["a", "b"], "batch_size": 8}, "b": {"class_path": "X", "init_args": {"h": 1}}}
    kept = {**below, "data": dict(below["data"])}
    found = merged(below, {"data": {"augmentations": ["c"]}, "b": {"class_path": "Y", "init_args": {"k": 2}}})
    assert found["data"] == {"augmentations": ["c"], "batch_size": 8}
    assert found["b"] == {"class_path": "Y", "init_args": {"k": 2}}
    assert below == kept
    same_class = merged(below, {"b": {"class_path": "X", "init_args": {"k": 2}}})
    assert same_class["b"]["init_args"] == {"h": 1, "k": 2}


def test_arguments_of_a_class_stay_in_whatever_order_they_are_written() -> None:
    whole = {"b": {"class_path": "GNN", "init_args": {"hidden": 8}}}
    for written in (
        {"b.init_args.hidden": 8, "b.class_path": "GNN"},
        {"b": {"init_args": {"hidden": 8}, "class_path": "GNN"}},
        {"b": {"init_args": {"hidden": 8}}, "b.class_path": "GNN"},
    ):
        assert undotted(written, "v") == whole


def test_arguments_stay_under_the_class_that_the_base_has_and_go_under_another() -> None:
    base = {"b": {"class_path": "DWS", "init_args": {"layers": 3}}}
    column = {"b": {"init_args": {"hidden": 8}}}
    for name, kept in ("DWS", {"init_args": {"hidden": 8}}), ("MLP", {}):
        assert merged(column, {"b": {"class_path": name}}, base) == {"b": {"class_path": name, **kept}}
    changed = merged({"b": {"class_path": "MLP", "init_args": {"hidden": 8}}}, {"b": {"class_path": "DWS"}}, base)
    assert changed == {"b": {"class_path": "DWS"}}


def test_changed_keys_are_those_whose_leaves_differ() -> None:
    first = {"a": {"b": 1, "c": {}}, "d": [1, 2], "e": None}
    assert changed_keys(first, first) == []
    assert changed_keys(first, {"a": {"b": 1, "c": {"x": 0}}, "d": [2, 1]}) == ["a.c", "d", "e", "a.c.x"]
    assert leaves(first) == {"a.b": 1, "a.c": {}, "d": [1, 2], "e": None}
    assert leaves({}) == {}
