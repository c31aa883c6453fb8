"""`sightsound completion bash|zsh`: a script by which a shell completes verbs, actions and options."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module

from sightsound.cli import VERBS
from sightsound.cli.common import Parser

EXAMPLE = """Prints a script; the shell that has read it completes verbs, options and files.

  eval "$(sightsound completion bash)"
  eval "$(sightsound completion zsh)"

The line goes into ~/.bashrc or ~/.zshrc.
"""
SCRIPT = """_sightsound() {{
    local word=${{COMP_WORDS[COMP_CWORD]}} verb=${{COMP_WORDS[1]}}
    [[ $verb == translate && $COMP_CWORD -gt 2 ]] && verb="translate ${{COMP_WORDS[2]}}"
    local known="{verbs}"
    if [[ $COMP_CWORD -gt 1 ]]; then
        case $verb in
{cases}
            *) known="" ;;
        esac
    fi
    COMPREPLY=($(compgen -W "$known" -- "$word"))
}}
complete -o default -F _sightsound sightsound
"""
ZSH = "autoload -Uz compinit bashcompinit && compinit && bashcompinit\n"
COMMON = "--help --quiet --verbose"


class Built(Exception):  # noqa: N818 - it ends a verb before it does anything, and is no error
    """A parser with all its options."""

    def __init__(self, parser: Parser) -> None:
        super().__init__()
        self.parser = parser


def run(arguments: Sequence[str]) -> None:
    """Prints the script."""
    parser = Parser("completion", "bash|zsh", EXAMPLE)
    parser.add_argument("shell", choices=["bash", "zsh"], help="for which shell")
    given = parser.parse(arguments)
    from sightsound.cli import data, translate

    words = {"data": " ".join(data.ACTIONS), "translate": " ".join(translate.ACTIONS), "completion": "bash zsh"}
    for verb in VERBS:
        if verb not in ("translate", "version"):
            words[verb] = f"{words.get(verb, '')} {options(import_module(f'sightsound.cli.{verb}').run)}".strip()
    for action, of_action in translate.ACTIONS.items():
        words[f"translate {action}"] = options(of_action)
    cases = "\n".join(f'            "{name}") known="{known}" ;;' for name, known in words.items())
    print((ZSH if given.shell == "zsh" else "") + SCRIPT.format(verbs=" ".join([*VERBS, "help"]), cases=cases), end="")


def options(verb: Callable[[Sequence[str]], None]) -> str:
    """The options of a verb, as they are typed."""

    def stop(parser: Parser, arguments: Sequence[str]) -> None:
        raise Built(parser)

    # a verb builds its parser when it is called: it is called, and stopped where it would parse
    original, Parser.parse = Parser.parse, stop  # type: ignore[assignment, method-assign]
    try:
        verb([])
    except Built as built:
        names = [name for action in built.parser._actions for name in action.option_strings]
        return " ".join([*(name.replace("_", "-") for name in names if name.startswith("--")), COMMON])
    finally:
        Parser.parse = original  # type: ignore[method-assign]
    return COMMON
