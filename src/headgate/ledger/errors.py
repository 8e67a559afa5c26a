"""What can be wrong with a ledger. Messages are for people: what is wrong, what to type next; no password."""

from collections.abc import Iterable


class LedgerError(Exception):
    """Base of all errors of the ledger."""


class LedgerUnusable(LedgerError):
    """The ledger cannot be used as it stands; the message says what to do."""


class LedgerTooNew(LedgerUnusable):
    """The ledger was written by a newer Headgate than this one."""


class StoreAbsent(LedgerUnusable):
    """The store cannot be reached or cannot write now: the same rows may succeed later."""


class BadRow(LedgerError):
    """The store is there and refuses these rows: they will never be accepted as they are."""


class WriterClosed(LedgerUnusable):
    """Rows were submitted to a writer that has stopped."""


class UnknownName(LedgerError):
    """No account, key or call of that name or id."""


class NameTaken(LedgerError):
    """The account has a key of that name already."""


class OwnedByFile(LedgerError):
    """A key or account of the configuration file cannot be changed elsewhere."""


class OwnedByStore(LedgerError):
    """The configuration file claims what was made in the ledger; `conflicts` names each, and what to do."""

    def __init__(self, conflicts: Iterable[str]) -> None:
        self.conflicts = tuple(conflicts)
        super().__init__("\n".join(self.conflicts))


class InvalidName(LedgerError):
    """A name that cannot be given to an account or key."""


class CannotSettle(LedgerError):
    """An attempt whose cost cannot be corrected as asked; the message says what can be."""
