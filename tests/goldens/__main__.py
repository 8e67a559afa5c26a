"""Write the golden files anew and say which changed: `make goldens`."""

import sys

from tests.goldens.files import all_files, expected, title


def main() -> None:
    """Rewrite what the translators say now; the requests and answers themselves stay as they are."""
    changed = 0
    paths = all_files()
    for path in paths:
        text = expected(path)
        if path.read_text("utf-8") != text:
            path.write_text(text, "utf-8")
            sys.stdout.write(f"changed: {title(path)}\n")
            changed += 1
    sys.stdout.write(f"{len(paths)} golden files, {changed} changed\n")


if __name__ == "__main__":
    main()
