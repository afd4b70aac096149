"""Safetensors files that contain their own digest: equal content gives equal bytes, and any changed bit is detected."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

#: The text that holds the digest: sha256 of the content without it.
DIGEST = "digest"


class UnsealedError(ValueError):
    """Content that is not a safetensors file, or does not match its digest."""


def seal(tensors: Mapping[str, Tensor], texts: Mapping[str, str]) -> bytes:
    """Bytes of a safetensors file with these tensors and, as metadata, the texts and a digest of everything.

    Args:
        tensors: on any device; tensors that share memory are written separately.
        texts: metadata by name; ``digest`` is reserved.

    >>> import torch
    >>> content = seal({"a": torch.ones(2)}, {"b": "c"})
    >>> content == seal({"a": torch.ones(2)}, {"b": "c"}), unseal(content)[1]["b"]
    (True, 'c')
    """
    plain = _content(tensors, texts)
    return _content(tensors, {**texts, DIGEST: hashlib.sha256(plain).hexdigest()})


def unseal(content: bytes) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and texts of a safetensors file. A digest among the texts is verified, and returned with them.

    Raises:
        UnsealedError: it is not a safetensors file, or does not match its digest.
    """
    try:
        tensors = load(content)
    except SafetensorError as error:
        raise UnsealedError(f"it is truncated, or not a safetensors file ({error})") from error
    texts: dict[str, str] = _header(content)[0].get("__metadata__", {})
    claimed = texts.get(DIGEST)
    if claimed is not None:
        plain = _content(tensors, {name: text for name, text in texts.items() if name != DIGEST})
        found = hashlib.sha256(plain).hexdigest()
        if found != claimed:
            raise UnsealedError(f"its digest should be {claimed}, found {found}")
    return tensors, texts


def _content(tensors: Mapping[str, Tensor], texts: Mapping[str, str]) -> bytes:
    """Safetensors bytes with sorted header keys, since their own order differs between processes."""
    content = save({name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()})
    header, end = _header(content)
    text = json.dumps({**header, "__metadata__": dict(texts)}, sort_keys=True, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + content[end:]


def _header(content: bytes) -> tuple[dict[str, dict[str, str]], int]:
    """Reads the header of a complete safetensors file, and the position of its end."""
    end = 8 + int.from_bytes(content[:8], "little")
    header: dict[str, dict[str, str]] = json.loads(content[8:end])
    return header, end
