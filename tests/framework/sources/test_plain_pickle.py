from __future__ import annotations

import collections
import contextlib
import pickle
import time
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from weightspace.sources.plain_pickle import PickleError, read_plain

PLAIN = {
    "numbers": [0, -1, 255, 65_536, 2**40, -(2**70), 1.5, True, False, None],
    "text": ["", "x", "\u00e9" * 300, b"", b"x", bytes(range(256)) * 2, bytearray(b"y")],
    "nested": ({"a": [1, (2, 3), ()]}, (1, 2, 3, 4), []),
    7: list(range(2000)),
    b"key": {},
}


@pytest.mark.parametrize("protocol", range(6))
def test_plain_data_come_back(protocol: int) -> None:
    assert read_plain(pickle.dumps(PLAIN, protocol)) == PLAIN


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("dtype", ["u1", "i1", "?", "<i4", ">i4", "<u8", ">i2"])
def test_arrays_come_back(dtype: str, protocol: int) -> None:
    values = np.arange(-6, 18).reshape(4, 6).astype(dtype)
    for array in (values, np.asfortranarray(values), values[:, ::2], values[0, 0], values[:0]):
        found = read_plain(pickle.dumps({"array": [array], "same": array}, protocol))
        assert np.array_equal(found["array"][0], array)
        assert np.array_equal(found["same"], array)


def doubled(count: int) -> bytes:
    """A tuple of two that are one, again and again: its hash, its text and its copies take 2^count steps."""
    return b"I1\n" + b"2\x86" * count


LARGE = b"\x8d" + (1 << 20).to_bytes(8, "little") + b"x" * (1 << 20)  # a text of a megabyte
BOMBS = {
    "hash": b"}" + doubled(60) + b"I1\ns.",
    "list of lists": b"]" + b"".join(b"]q%c(h%ch%ce" % (n + 1, n, n) for n in range(60)).replace(b"h\0", b"N") + b".",
    "memo": b"I1\nr\xff\xff\xff\x7f.",
    "length of bytes": b"\x8e" + (1 << 50).to_bytes(8, "little") + b".",
    "frame": b"\x80\x05\x95" + (1 << 50).to_bytes(8, "little") + b"I1\n.",
    "array": b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR(I1\n(I999999999999\nt"
    b"cnumpy\ndtype\n(S'u1'\nI0\nI1\ntRI00\nS''\ntb.",
    "encoding again and again": LARGE + b"q\x000" + b"c_codecs\nencode\nh\x00\x8c\x06latin1\x86R" * 1000 + b".",
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_cost_neither_time_nor_memory(name: str) -> None:
    tracemalloc.start()
    start = time.process_time()
    try:
        with contextlib.suppress(PickleError):
            read_plain(BOMBS[name])
    finally:
        memory = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert time.process_time() - start < 5
    assert memory < 20_000_000


class Reduced:
    def __init__(self, *parts: object) -> None:
        self.parts = parts

    def __reduce__(self):
        return self.parts


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (Reduced(eval, ("1",)), "asks for (__builtin__|builtins).eval"),
        (collections.OrderedDict(a=1), "asks for collections.OrderedDict"),
        (np.arange(3.0), "type 'f8'"),
        (np.array([{}], dtype=object), "type 'O8'"),
        ({(1, 2): 3}, "neither text nor a number"),
        ({1, 2}, r"."),
    ],
)
@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_all_else_is_refused(value: object, reason: str, protocol: int) -> None:
    with pytest.raises(PickleError, match=reason):
        read_plain(pickle.dumps(value, protocol))


@pytest.mark.parametrize("content", [b"", b".", b"a.", b"]q.", b"(.", b"R.", b"h\x09.", b"N", b"cnumpy\nndarray\n)R."])
def test_damage_is_an_error_of_ours(content: bytes) -> None:
    with pytest.raises(PickleError):
        read_plain(content)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(place=st.integers(0, 10_000), data=st.binary(min_size=1, max_size=8), protocol=st.integers(0, 5))
def test_damaged_pickles(place: int, data: bytes, protocol: int) -> None:
    content = pickle.dumps({**PLAIN, "array": np.arange(6, dtype=np.uint8)}, protocol)
    at = place % len(content)
    with contextlib.suppress(PickleError):
        read_plain(content[:at] + data + content[at + len(data) :])
