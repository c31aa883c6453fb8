"""The command line: one file for each verb, imported only when it is used, so that help is instant."""

import errno
import gc
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from importlib import import_module

from sightsound import __version__
from sightsound.data.text import Visible

VERBS = {
    "demo": "train on embedded digits, seen and heard; no download",
    "train": "train a classifier on a table of images and sounds",
    "compare": "train every fusion strategy and recommend one",
    "robustness": "what is left when files are missing or damaged",
    "evaluate": "measure a classifier on a table",
    "predict": "classify an image, a sound, a pair, a whole table or folder",
    "translate": "from image to sound, and back",
    "inspect": "what is in a table, or in a bundle",
    "data": "data sets by name: list, fetch, build, show, clean",
    "completion": "what a shell needs to complete options: bash, zsh",
    "version": "which sightsound this is",
}

TRAINING = ("train", "compare")  # whose configuration keeps the plugins

HELP = f"""usage: sightsound VERB ...

Classifiers that learn from images and sounds together.

{chr(10).join(f"  {verb:<12}{line}" for verb, line in VERBS.items())}

  sightsound demo
  sightsound train table.csv --out runs/first
  sightsound compare table.csv --out runs/compared
  sightsound predict runs/first/bundle --image 7.png --audio seven.wav

More on a verb: sightsound VERB --help, or sightsound help VERB. With each verb: --quiet prints nothing but results and
errors; --verbose shows where in the program an error came from; --plugins MODULE imports a module of yours first, which
registers a modality, say.
"""


class Terminated(KeyboardInterrupt):
    """The signal SIGTERM, with which schedulers and services end a process: it ends as cleanly as with Ctrl-C."""


def main() -> None:
    """Runs the typed verb and exits.

    The exit code is 0, 1 for errors the user can correct, 2 for a wrong call, 130 for Ctrl-C, and 143 for SIGTERM.
    """
    gc.set_threshold(100_000, 20, 100)  # importing torch makes so many objects that collecting costs 40 %
    sys.path.append("")  # the current folder, for the user's own classes; last, so that it hides nothing
    with redirect_stdout(Visible(sys.stdout)), redirect_stderr(Visible(sys.stderr)), _terminable():
        sys.exit(_run(sys.argv[1:]))


@contextmanager
def _terminable() -> Iterator[None]:
    """Raises Terminated within the block where the process is told to end."""

    def end(*_: object) -> None:
        raise Terminated

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before or signal.SIG_DFL)


def _run(arguments: Sequence[str]) -> int:
    """Runs the verb; returns the exit code."""
    from sightsound import progress
    from sightsound.errors import SightsoundError

    verbose = "--verbose" in arguments
    progress.quiet = "--quiet" in arguments
    try:
        code = _verb([argument for argument in arguments if argument not in ("--quiet", "--verbose")])
        sys.stdout.flush()
    except SightsoundError as error:
        if verbose:
            raise
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt as stop:
        ended, code = ("Terminated", 143) if isinstance(stop, Terminated) else ("Stopped", 130)
        print(f"\n{ended}. What was begun goes on with the same command and --resume.", file=sys.stderr)
        return code
    except BrokenPipeError:  # the reader of our output left, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # otherwise Python complains at exit
        return 1
    except OSError as error:
        if error.errno != errno.ENOSPC or verbose:
            raise
        print(f"error: what was to be printed cannot be written: {error.strerror}", file=sys.stderr)
        return 1
    return code


def _verb(arguments: Sequence[str]) -> int:
    """Runs the verb without the shared error handling; returns the exit code of a call without an error."""
    from sightsound.errors import did_you_mean

    if not arguments or arguments[0] in ("-h", "--help") or arguments == ["help"]:
        print(HELP, end="")
        return 0 if arguments else 2
    if arguments[0] in ("-V", "--version", "version"):
        print(__version__)
        return 0
    if arguments[0] == "help":
        arguments = [*arguments[1:], "--help"]
    verb = arguments[0]
    if verb not in VERBS:
        print(f"sightsound: there is no verb {verb!r}. {did_you_mean(verb, VERBS)}", file=sys.stderr)
        return 2
    import_module(f"sightsound.cli.{verb}").run(_with_plugins(verb, arguments[1:]))
    return 0


def _with_plugins(verb: str, arguments: Sequence[str]) -> list[str]:
    """Imports what --plugins names, before the options are known; returns the remaining arguments."""
    left, plugins = [], list[str]()
    rest = iter(arguments)
    for argument in rest:
        name, equals, value = argument.partition("=")
        if name != "--plugins":
            left.append(argument)
            continue
        value = value if equals else next(rest, "")
        plugins += [plugin for plugin in value.strip("[]").replace(",", " ").split() if plugin]
        left += [f"--plugins=[{','.join(plugins)}]"] if verb in TRAINING else []
    if plugins:
        from sightsound.registry import import_plugins

        import_plugins(plugins)
    return left
