"""Who calls."""

import msgspec


class Principal(msgspec.Struct, frozen=True, gc=False):
    """The (account, key) that a request belongs to; `allowed_models` are glob patterns, None: all. `key` is an id."""

    account: str
    key: str
    allowed_models: tuple[str, ...] | None = None
    key_name: str = ""


ANONYMOUS = Principal("anonymous", "anonymous")
