"""What a configuration adds to every request of a route, whatever dialect its client speaks."""

from headgate.model.route import UNSHAPED, Shaping
from headgate.protocols.canonical import Translator
from headgate.protocols.json_object import members_of, splice


def shaped(body: bytes, shaping: Shaping, dialect: Translator) -> bytes:
    """Return an outgoing body with what `shaping` adds; the very same one where it adds nothing.

    Parameters that the request has already stay as they are.
    """
    if shaping is UNSHAPED:
        return body
    if shaping.extra_body and (fields := members_of(body)) is not None:
        missing: dict[str, bytes | None] = {
            name: bytes(value) for name, value in shaping.extra_body.items() if name not in fields
        }
        body = splice(body, fields, missing)
    if shaping.system:
        body = dialect.with_system(body, shaping.system)
    if shaping.cache_auto:
        body = dialect.with_cache_marks(body)
    return body
