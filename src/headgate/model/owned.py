"""What the configuration file owns in the ledger: accounts, keys and limits. No secret is in it, only its hash."""

import msgspec

from headgate.model.limit import Limit, Scope


class OwnedKey(msgspec.Struct, frozen=True):
    """A key of the file; account and name are its identity. `sha256` is that of its secret, `prefix` is to be shown.

    `allowed_models` are glob patterns, None: all. `expires_at` in ns since the epoch, None: never.
    """

    account: str
    name: str
    sha256: bytes
    prefix: str
    allowed_models: tuple[str, ...] | None = None
    expires_at: int | None = None

    def __repr__(self) -> str:
        return f"OwnedKey({self.account!r}, {self.name!r})"


class Owned(msgspec.Struct, frozen=True):
    """All of it. `accounts` are those that the file claims; limits have id 0 and the source "file"."""

    accounts: tuple[str, ...] = ()
    keys: tuple[OwnedKey, ...] = ()
    limits: tuple[Limit, ...] = ()

    @property
    def mentioned(self) -> frozenset[str]:
        """The accounts that its keys and limits name, claimed or not."""
        of_limits = (one.name if one.scope is Scope.ACCOUNT else one.account for one in self.limits)
        return frozenset(name for name in (*(key.account for key in self.keys), *of_limits) if name)


NOTHING_OWNED = Owned()
