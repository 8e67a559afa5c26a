"""Who calls."""

import msgspec


class Principal(msgspec.Struct, frozen=True, gc=False):
    """The (account, key) that a request belongs to; `allowed_models` are glob patterns, None: all."""

    account: str
    key: str
    allowed_models: tuple[str, ...] | None = None


ANONYMOUS = Principal("anonymous", "anonymous")
