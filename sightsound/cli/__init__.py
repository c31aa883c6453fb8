"""The command line: one file for each verb, imported only when it is used, so that help is instant."""

import gc
import sys
from importlib import import_module

from sightsound import __version__

VERBS = {
    "demo": "train on embedded digits, seen and heard; no download",
    "train": "train a classifier on a table of images and sounds",
    "compare": "train every fusion strategy and recommend one",
    "robustness": "what is left when files are missing or damaged",
    "evaluate": "measure a classifier on a table",
    "predict": "classify an image, a sound, a pair, or a whole table",
    "translate": "from image to sound, and back",
    "inspect": "what is in a table, or in a bundle",
    "data": "data sets by name: list, fetch, build, show, clean",
}

HELP = f"""usage: sightsound VERB ...

Classifiers that learn from images and sounds together.

{chr(10).join(f"  {verb:<12}{line}" for verb, line in VERBS.items())}

  sightsound demo
  sightsound train table.csv --fusion concat --out runs/first
  sightsound compare table.csv --out runs/compared
  sightsound predict runs/first/bundle --image 7.png --audio seven.wav

More on a verb: sightsound VERB --help
"""


def main() -> None:
    """Runs the verb that was typed; exits with 0, 1 for what the user can mend, 2 for a wrong call, 130 for Ctrl-C."""
    gc.set_threshold(100_000, 20, 100)  # importing torch and Lightning makes so many objects that collecting costs 40 %
    sys.path.append("")  # the current folder, for the user's own classes; last, so that it hides nothing
    arguments = sys.argv[1:]
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(HELP, end="")
        sys.exit(0 if arguments else 2)
    if arguments[0] in ("-V", "--version"):
        print(__version__)
        return
    from sightsound.errors import SightsoundError, did_you_mean

    verb = arguments[0]
    if verb not in VERBS:
        print(f"sightsound: there is no verb {verb!r}. {did_you_mean(verb, VERBS)}", file=sys.stderr)
        sys.exit(2)
    try:
        import_module(f"sightsound.cli.{verb}").run(arguments[1:])
    except SightsoundError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print("\nStopped. What was begun goes on with the same command and --resume.", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:  # the reader of our output left, as `head` does
        sys.stderr.close()
        sys.exit(1)
