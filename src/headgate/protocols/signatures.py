"""Signed thinking on its way through clients of another dialect: who signed it travels with it.

A foreign signature is handed to a client as `hg1.` and base64 (URL alphabet, no padding) of a JSON array
[provider, dialect, item, signature]; the signature itself is never changed. Clients give it back as they got it.
"""

import base64
import binascii
from typing import Final, NamedTuple

import msgspec

from headgate.model.content import Block, RedactedThinking, Signer, Thinking
from headgate.model.conversation import Request
from headgate.model.dialect import Dialect

PREFIX: Final = "hg1."


class Signed(NamedTuple):
    """A signature as its provider made it, who that was, and the id of its item, where it has one."""

    signer: Signer
    item: str | None
    signature: str


_decoder: Final = msgspec.json.Decoder(tuple[str, Dialect, str | None, str])


def wrap(signed: Signed) -> str:
    """Return what stands for the signature in another dialect."""
    parts = (signed.signer.provider, signed.signer.dialect, signed.item, signed.signature)
    return PREFIX + base64.urlsafe_b64encode(msgspec.json.encode(parts)).rstrip(b"=").decode()


def unwrap(text: str) -> Signed | None:
    """Return what `wrap` was given; None for a signature that is the client's dialect's own, or was tampered with."""
    if not text.startswith(PREFIX):
        return None
    packed = text[len(PREFIX) :]
    try:
        data = base64.b64decode(packed + "=" * (-len(packed) % 4), altchars=b"-_", validate=True)
        provider, dialect, item, signature = _decoder.decode(data)
    except (binascii.Error, ValueError, RecursionError):
        return None
    return Signed(Signer(provider, dialect), item, signature)


def signed_by(request: Request, signer: Signer) -> Request:
    """Return the request with its signed blocks of the client's own dialect as those of `signer`."""
    turns = tuple(
        msgspec.structs.replace(turn, blocks=tuple(_signed(block, signer) for block in turn.blocks))
        if any(isinstance(block, Thinking | RedactedThinking) for block in turn.blocks)
        else turn
        for turn in request.turns
    )
    return msgspec.structs.replace(request, turns=turns)


def _signed(block: Block, signer: Signer) -> Block:
    if isinstance(block, Thinking | RedactedThinking) and block.signer is None:
        return msgspec.structs.replace(block, signer=signer)
    return block


def goes_to(signer: Signer | None, own: Dialect, provider: str, dialect: Dialect) -> bool:
    """Tell whether a signed block may go to a provider asked in `dialect`; `own` is the client's dialect.

    Without a signer it is as the client's own dialect carries it, so a provider of that dialect made it.
    """
    if signer is None:
        return own == dialect
    return signer == Signer(provider, dialect)
