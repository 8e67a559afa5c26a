"""`headgate completion SHELL`, and what the shells ask at every TAB.

The scripts run the program with `_HEADGATE_COMPLETE` set and the words of the line as arguments. It answers one
candidate a line (value, tab, help), or `:files`. No shell evaluates an answer: strangers chose some of the names in it.
"""

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from headgate.surfaces.cli.candidates import SHELLS, candidates
from headgate.surfaces.cli.common import ConfigOption
from headgate.surfaces.cli.output import Complaint, plain

VARIABLE = "_HEADGATE_COMPLETE"
FILES = ":files"

BASH = r"""
_headgate() {
    local program=PROGRAM answer value
    [[ -x $program ]] || program=headgate
    COMPREPLY=()
    answer=$(_HEADGATE_COMPLETE=bash "$program" "${COMP_LINE:0:COMP_POINT}" "$COMP_WORDBREAKS" 2>/dev/null)
    if [[ $answer == :files ]]; then
        compopt -o default 2>/dev/null
    elif [[ -n $answer ]]; then
        while IFS= read -r value; do COMPREPLY+=("$value"); done <<< "$answer"
    fi
}
complete -F _headgate headgate
"""

ZSH = r"""
#compdef headgate
_headgate() {
    local program=PROGRAM answer line
    local -a values shown
    [[ -x $program ]] || program=headgate
    answer=$(_HEADGATE_COMPLETE=zsh "$program" "${(@Q)words[2,CURRENT-1]}" "${(Q)PREFIX}" 2>/dev/null)
    if [[ $answer == :files ]]; then
        _files
        return
    fi
    for line in "${(@f)answer}"; do
        [[ -n $line ]] || continue
        values+=("${line%%$'\t'*}")
        shown+=("${line/$'\t'/  -- }")
    done
    compadd -l -d shown -a values
}
if [[ ${funcstack[1]} == _headgate ]]; then _headgate "$@"; else compdef _headgate headgate; fi
"""

FISH = r"""
function __headgate_complete
    set -l program PROGRAM
    test -x $program; or set program headgate
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l answer (env _HEADGATE_COMPLETE=fish $program $words[2..-1] "$current" 2>/dev/null)
    if test "$answer[1]" = :files
        __fish_complete_path "$current"
    else if set -q answer[1]
        string join \n -- $answer
    end
end
complete --command headgate --no-files --arguments '(__headgate_complete)'
"""

SCRIPTS = dict(zip(SHELLS, (BASH, ZSH, FISH), strict=True))


def completion(
    shell: Annotated[str, typer.Argument(metavar="SHELL", help=f"One of {', '.join(SCRIPTS)}.")],
    config: ConfigOption = None,
) -> None:
    """Print the script by which a shell completes a line.

    To load it, in ~/.bashrc or ~/.zshrc: eval "$(headgate completion bash)", or zsh; in fish's config.fish:
    headgate completion fish | source. It reads no configuration; --config is accepted as everywhere.
    """
    del config
    if shell not in SCRIPTS:
        raise typer.BadParameter(f"must be one of {', '.join(SCRIPTS)}", param_hint="SHELL")
    typer.echo(SCRIPTS[shell].strip().replace("PROGRAM", _quoted(_program(sys.argv[0]), shell)))


def _program(typed: str) -> str:
    """Return the path of this program; the name alone where it was started by something else."""
    path = Path(typed)
    return str(path.absolute()) if path.name == "headgate" and path.is_file() else "headgate"


def _quoted(path: str, shell: str) -> str:
    if not path.isprintable():
        raise Complaint("the path of this program cannot be written into a script; install Headgate at a plain one")
    if shell == "fish":
        return "'" + path.replace("\\", "\\\\").replace("'", "\\'") + "'"
    return shlex.quote(path)


def answer(root: Any, shell: str, words: Sequence[str]) -> str:
    """Return what to tell `shell` about the words of its line; empty where nothing fits or anything is wrong.

    `words` are those after the command's name, the last one unfinished; of bash the line up to the cursor, and its
    COMP_WORDBREAKS.
    """
    try:
        breaks = ""
        if shell == "bash":
            line, breaks = words[0], words[1]
            words = _split(line)[1:]
        found = candidates(root, list(words[:-1]), words[-1])
    except Exception:  # noqa: BLE001  whatever is wrong with a ledger or a file, a TAB in a shell stays quiet
        return ""
    if found is None:
        return FILES
    if shell != "bash":
        return "\n".join(f"{value}\t{plain(told)}" if told else value for value, told in found)
    # Readline replaces only what follows the last of its word breaks.
    cut = max((words[-1].rfind(mark) for mark in ":=" if mark in breaks), default=-1) + 1
    return "\n".join(value[cut:] for value, _ in found)


def _split(line: str) -> list[str]:
    """Return the words of an unfinished line; the last is what the cursor stands at, maybe empty."""
    end = "\0"
    lexer = shlex.shlex(line + end, posix=True)
    lexer.whitespace_split, lexer.commenters = True, ""
    words: list[str] = []
    try:
        words.extend(lexer)
    except ValueError:
        # A quote is open: what was read of its word stands in the lexer.
        words.append(lexer.token)
    return [*words[:-1], words[-1].removesuffix(end)]
