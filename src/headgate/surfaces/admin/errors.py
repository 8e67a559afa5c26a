"""What the admin plane answers when it refuses: one envelope, and a message that says what to do."""

from collections.abc import Mapping
from typing import Any

import msgspec

from headgate.config.problems import ConfigError
from headgate.ledger.errors import (
    BadRow,
    InvalidName,
    LedgerError,
    LedgerUnusable,
    NameTaken,
    OwnedByFile,
    UnknownName,
)

TRY_AGAIN = "Something else changed the same at the same moment; look at it and try again."


class Refused(Exception):
    """An error that is the answer. `code` is for programs, `message` for people, `extra` beside them."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        headers: Mapping[str, str] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = dict(headers or {})
        self.extra = dict(extra or {})

    def body(self) -> bytes:
        return msgspec.json.encode({"error": {"message": self.message, "code": self.code, **self.extra}})


def invalid(message: str) -> Refused:
    """Return the refusal of a request that cannot be understood."""
    return Refused(400, "invalid_request", message)


def refusal_of_ledger(error: LedgerError) -> Refused:
    """Return the answer that an error of the ledger stands for."""
    match error:
        case UnknownName():
            return Refused(404, "not_found", str(error))
        case NameTaken():
            return Refused(409, "name_taken", str(error))
        case OwnedByFile():
            return Refused(409, "owned_by_file", str(error))
        case InvalidName():
            return invalid(str(error))
        case LedgerUnusable():
            return Refused(503, "ledger_unavailable", str(error))
        case BadRow():
            return Refused(409, "changed_meanwhile", TRY_AGAIN)
        case _:
            return Refused(500, "ledger_error", str(error))


def refusal_of_config(error: ConfigError | OSError) -> Refused:
    """Return the answer to a reload that failed; the running configuration stays."""
    if isinstance(error, OSError):
        said = f"The configuration cannot be read: {error.strerror or error}"
        problems: list[dict[str, Any]] = []
    else:
        said = str(error)
        problems = [msgspec.structs.asdict(problem) for problem in error.problems]
    message = f"{said}\nThe running configuration stays; correct the file and reload again."
    return Refused(400, "invalid_config", message, extra={"problems": problems})
