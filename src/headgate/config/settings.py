"""What the running processes are told, apart from what can be asked for (model/catalog.py)."""

from pathlib import Path

import msgspec

from headgate.model.catalog import Catalog
from headgate.model.owned import NOTHING_OWNED, Owned


class Overrides(msgspec.Struct, frozen=True):
    """What the command line says over the file; None: as in the file."""

    host: str | None = None
    port: int | None = None
    admin_port: int | None = None
    workers: int | None = None
    log_level: str | None = None
    log_json: bool = False


NO_OVERRIDES = Overrides()


class Settings(msgspec.Struct, frozen=True):
    """All durations in ns, sizes in bytes, paths absolute. `deadline` spans all attempts of a call.

    `admin_token` None: the admin plane is closed. `state_dir` may not exist yet.
    Not to be logged; its repr holds neither the token nor the ledger's URL, which may carry a password.
    """

    host: str
    port: int
    admin_host: str
    admin_port: int
    admin_token: str | None
    workers: int
    auth_required: bool
    max_body: int
    body_timeout: int
    drain_timeout: int
    deadline: int
    log_level: str
    ledger_url: str
    durability: str
    state_dir: str
    dead_after: int
    config_path: str | None

    def __repr__(self) -> str:
        return f"Settings({self.host}:{self.port}, config_path={self.config_path!r})"


class Compiled(msgspec.Struct, frozen=True):
    """A configuration ready to run.

    `fingerprint` is the SHA-256 (hex) of its canonical form without any secret: it stays the same when
    only a credential changes. `rank_multipliers` are by provider, in thousandths, where not 1.
    `owned` are the accounts, keys and limits that are to be put in force in the ledger.
    Of a start without a file: `found` says where each provider came from, `notes` what was seen and not taken;
    `simulated`: none was found, so they are the simulated upstream, which whoever serves must start, and say so.
    """

    settings: Settings
    catalog: Catalog
    fingerprint: str
    rank_multipliers: dict[str, int] = {}
    owned: Owned = NOTHING_OWNED
    found: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    simulated: bool = False

    @property
    def config_path(self) -> Path | None:
        return Path(self.settings.config_path) if self.settings.config_path is not None else None
