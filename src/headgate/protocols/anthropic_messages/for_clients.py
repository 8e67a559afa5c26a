"""What of another dialect's answer a client of this one keeps for the next call: signatures and citations."""

from typing import Final

import msgspec
from msgspec import Raw

from headgate.model.content import Signer
from headgate.model.dialect import Dialect
from headgate.protocols.signatures import Signed, wrap

_OWN: Final = Dialect.ANTHROPIC_MESSAGES
_encode: Final = msgspec.json.encode


def signature_for(signature: str, item: str | None, signer: Signer) -> str:
    """Return what a client is given as a thinking block's signature.

    The API's clients give a block back only with one, so unsigned thinking gets a wrapped empty one: it comes back,
    is known as unsigned and as whose it is, and no provider of this dialect is ever sent it.
    """
    return signature if signer.dialect is _OWN else wrap(Signed(signer, item, signature))


class _Url(msgspec.Struct):
    url: str
    title: str | None = None


class _Cited(msgspec.Struct):
    """A URL citation of Responses (members at the top) or of chat (`url_citation`)."""

    type: str = ""
    url: str | None = None
    title: str | None = None
    url_citation: _Url | None = None


_cited: Final = msgspec.json.Decoder(_Cited)


def citation_for(raw: Raw, signer: Signer) -> bytes | None:
    """Return a citation as the client's dialect has it, None for one that it has no like of.

    A URL becomes a web_search_result_location; its `encrypted_index` holds the original, so that Headgate knows it
    again and keeps it from providers that would not.
    """
    if signer.dialect is _OWN:
        return bytes(raw)
    try:
        said = _cited.decode(raw)
    except (ValueError, RecursionError):
        return None
    at = said.url_citation or (None if said.url is None else _Url(said.url, said.title))
    if said.type != "url_citation" or at is None:
        return None
    location = {
        "type": "web_search_result_location",
        "url": at.url,
        "title": at.title,
        "cited_text": "",
        "encrypted_index": wrap(Signed(signer, None, bytes(raw).decode("utf-8", "replace"))),
    }
    return _encode(location)
