"""Shared by the verbs: a parser that accepts hyphens, and says in words what is wrong with a call."""

from __future__ import annotations

import contextlib
import difflib
import json
import os
import re
from argparse import RawDescriptionHelpFormatter
from collections.abc import Iterable, Sequence, Set
from dataclasses import fields
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import yaml
from jsonargparse import ArgumentParser, DefaultHelpFormatter, Namespace, set_parsing_settings

from sightsound.config import config_type
from sightsound.data.sources.base import SourceOptions
from sightsound.errors import ConfigError
from sightsound.modalities.base import MODALITIES
from sightsound.types import POLICIES

set_parsing_settings(docstring_parse_attribute_docstrings=True)


class Formatter(DefaultHelpFormatter, RawDescriptionHelpFormatter):
    """Leaves the examples in a description as they are written."""


class Parser(ArgumentParser):
    """Takes --batch-size and --batch_size alike, and shows the former.

    Args:
        verb: the word after `sightsound`.
        positionals: the positional arguments, for the usage line.
        description: the description, and examples.
    """

    def __init__(self, verb: str, positionals: str, description: str) -> None:
        super().__init__(
            prog=f"sightsound {verb}",
            usage=f"sightsound {verb} {positionals} [options]".replace("  ", " "),
            description=description,
            formatter_class=Formatter,
        )

    def format_help(self, formatter: Any = None) -> str:
        """Formats the help text with hyphens in the names of options."""
        return re.sub(r"--[\w.]+", lambda match: match[0].replace("_", "-"), super().format_help(formatter)).replace(
            "\b", ""
        )

    def parse(self, arguments: Sequence[str]) -> Namespace:
        """Parses arguments; a wrong call ends the process with a usage message."""
        settings = [action for action in self._actions if isinstance(action.default, bool) and action.nargs is None]
        flags = {name for action in settings for name in action.option_strings}
        typed = _rewritten([_underscored(argument) for argument in arguments], flags)
        parsed = self.parse_args(typed)
        if "columns" in parsed and "seed" not in parsed:  # of a table for what was trained with names of its own
            parsed["typed"] = [argument[2:].partition("=")[0] for argument in typed if argument.startswith("--")]
        return parsed

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Ends the process with the usage and a message in words."""
        options = [option for action in self._actions for option in action.option_strings]
        super().error(in_words(message, [option.replace("_", "-") for option in options]), ex)


def missing_arguments(parser: Parser) -> None:
    """Adds --missing POLICY, and --missing.image and so on for one modality alone."""
    text = f"policy for {{}} that is missing or damaged: {', '.join(POLICIES)}; default: as trained"
    for name in MODALITIES:
        parser.add_argument(f"--missing.{name}", help=text.format(name))


def trust_argument(parser: Parser) -> None:
    """Adds --trust."""
    text = "import modules that the bundle names, for classes that are not sightsound's own; this runs their code"
    parser.add_argument("--trust", action="store_true", help=text)


def missing_of(given: Namespace) -> dict[str, str] | None:
    """Returns the policies that were typed; None if none were."""
    typed = {m: policy for m, policy in given.missing.as_dict().items() if policy is not None}
    return typed or None


def source_arguments(parser: Parser) -> None:
    """Adds the options of a data set known by name; its seed is that of the classifier's training."""
    parser.add_class_arguments(SourceOptions, nested_key=None, skip=SHARED)


def source_of(given: Namespace) -> SourceOptions:
    """Returns the options of a data set that were typed."""
    return SourceOptions(**{f.name: given[f.name] for f in fields(SourceOptions) if f.name not in SHARED})


def columns_of(given: Namespace) -> dict[str, str]:
    """Returns the column names that were typed, by role; all others are those of the classifier's training."""
    typed = {name.removeprefix("columns.") for name in given.typed if name.startswith("columns.")}
    return {role: name for role, name in given.columns.as_dict().items() if role in typed}


BUNDLE_MARK = "SHA256SUMS"  # in each bundle, of which no file may be replaced


def output_path(out: str, inputs: Iterable[str | Path], endings: Iterable[str] | None) -> Path:
    """Checks where to write a file.

    Args:
        out: the path as typed.
        inputs: files and folders that are read, and so must not be overwritten.
        endings: the accepted endings; None: any.

    Raises:
        ConfigError: it cannot be written to, is one of the inputs, or has another ending.
    """
    path = Path(out)
    if endings is not None and path.suffix.lower() not in endings:
        known = ", ".join(endings)
        raise ConfigError(
            f"--out is {out}; files of type {path.suffix or '(no ending)'} are not written. Known: {known}."
        )
    if path.is_dir():
        raise ConfigError(f"--out is {out}, which is a folder; give the name of a file in it.")
    if not path.parent.is_dir():
        raise ConfigError(f"--out is {out}, and there is no folder {path.parent}. Make it, or give another place.")
    if path.exists() and not path.is_file():
        raise ConfigError(f"--out is {out}, which is a device or a pipe; leave --out away to write to the screen.")
    for given in map(Path, inputs):
        below = (
            os.path.isdir(given) and (given / BUNDLE_MARK).exists() and path.resolve().is_relative_to(given.resolve())
        )
        if below or (path.exists() and os.path.exists(given) and path.samefile(given)):
            raise ConfigError(f"--out is {out}, which is read here too and would be lost. Give another name.")
    return path


SHARED = {"seed", "on_bad_file"}  # options that a data set by name shares with the training


class Given(NamedTuple):
    """The arguments of a run: where (table, source, out, resume), and all other options."""

    where: dict[str, Any]
    options: dict[str, Any]


def run_options(parser: Parser, arguments: Sequence[str], without: frozenset[str] = frozenset()) -> Given:
    """Adds the options of every verb that trains in a run folder, and parses.

    Args:
        parser: a parser with the verb's own options.
        arguments: the arguments as typed.
        without: fields of `Config` that the verb does not accept.
    """
    parser.add_argument("table", help="CSV, TSV, Parquet or JSON Lines file, a folder of classes, or a name")
    parser.add_argument("--out", help="run folder; default: a new one under runs/")
    parser.add_argument("--resume", action="store_true", help="go on with the run in --out")
    parser.add_argument("--config", action="config", help="YAML file with any of the options below")
    parser.add_class_arguments(config_type(), nested_key=None, skip=set(without))
    parser.add_class_arguments(SourceOptions, nested_key=None, skip=SHARED)
    _refuse_other_files(parser, arguments, without)
    given = parser.parse(arguments).as_dict()
    given.pop("config", None)
    where = {name: given.pop(name) for name in ("table", "out", "resume")}
    if where["resume"] and not where["out"]:
        parser.error("--resume needs --out RUN_FOLDER, the run to go on with")
    own = {f.name: given.pop(f.name) for f in fields(SourceOptions) if f.name not in SHARED}
    where["source"] = SourceOptions(**own, **{name: given[name] for name in SHARED})
    return Given(where, given)


def _refuse_other_files(parser: Parser, arguments: Sequence[str], without: Set[str]) -> None:
    """Ends with a message where a --config file has options that only a training takes, as the file of a run has."""
    names = [value for before, value in pairwise(arguments) if before == "--config"]
    names += [argument.partition("=")[2] for argument in arguments if argument.startswith("--config=")]
    for path in filter(os.path.isfile, names):
        with contextlib.suppress(OSError, ValueError, yaml.YAMLError):  # which the parser reports
            held = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
            taken = {action.dest for action in parser._actions}
            of_training = sorted(without & set(held if isinstance(held, dict) else ()))
            if set(of_training) - taken:
                parser.error(
                    f"{path} holds the options of one training ({', '.join(of_training)}), and this verb trains many. "
                    "Leave them out of the file."
                )


def _underscored(argument: str) -> str:
    if not argument.startswith("--"):
        return argument
    name, equals, value = argument[2:].partition("=")
    return f"--{name.replace('-', '_')}{equals}{value}"


BY_CLASS = ("--class_weights", "--class_recall", "--class_precision")  # typed as NAME=NUMBER,NAME=NUMBER
PART_OPTION = re.compile(r"(--fusion|--\w+\.encoder)\.(\w+)")


def _rewritten(arguments: Sequence[str], flags: Set[str]) -> list[str]:
    """Rewrites --missing POLICY for each modality, --modalities image,audio as a list, a flag alone as true.

    The options of a strategy or an encoder, such as --fusion.width, are those of the dict beside its name.
    """
    found, left = list[str](), list(arguments)
    while left:
        argument = left.pop(0)
        name, equals, value = argument.partition("=")
        if part := PART_OPTION.fullmatch(name):
            name = argument = f"{part[1]}_options.{part[2]}{equals}{value}"
        if name in BY_CLASS:
            value = _by_name(value if equals or not left else left.pop(0))
            before = next((one for one in found if one.startswith(f"{name}={{")), None)
            if before and value.startswith("{"):  # typed once for each class
                found.remove(before)
                with contextlib.suppress(ValueError):
                    value = json.dumps(json.loads(before.partition("=")[2]) | json.loads(value))
            found.append(f"{name}={value}")
        elif name in ("--missing", "--modalities", "--plugins"):
            value = value if equals or not left else left.pop(0)
            if name == "--missing":
                found += [f"--missing.{m}={value}" for m in MODALITIES]
            else:
                found.append(f"{name}=[{value.strip('[]')}]")
        elif name in flags and not equals and left[:1] not in (["true"], ["false"]):
            found.append(f"{name}=true")
        else:
            found.append(argument)
    return found


def _by_name(value: str) -> str:
    """Turns defect=0.95,crack=0.9 into a mapping; leaves anything else to the parser."""
    pairs = [pair.rpartition("=") for pair in value.split(",")]
    if value.startswith("{") or not all(equals for _, equals, _ in pairs):
        return value
    return json.dumps({name.strip(): _number(number) for name, _, number in pairs})


def _number(text: str) -> float | str:
    with contextlib.suppress(ValueError):
        return float(text)
    return text


EXPECTED = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "str": "a text",
    "tuple": "a list",
    "dict": "options by name",
}


def in_words(message: str, options: Sequence[str]) -> str:
    """Rewords the parser's message for people; an unknown message is unchanged."""
    unknown = re.match(r"(?:unrecognized arguments: --|Option ')([\w.-]+)", message)
    if unknown:
        name, names = unknown[1].replace("_", "-"), {option.lstrip("-"): option for option in options}
        near = difflib.get_close_matches(name, names, n=1)
        return f"there is no option --{name}." + (f" Did you mean {names[near[0]]}?" if near else "")
    if lacks := re.match(r"argument --([\w.]+?)(_options(?:\.\w+)?)?: expected one argument", message):
        return f"--{lacks[1].replace('_', '-')}{'.NAME' if lacks[2] else ''} needs a value."
    wrong = re.match(r'Parser key "([\w.]+)":.*(?:Got|Given) value: (.*)', message, re.DOTALL)
    choices = re.search(r"Literal\[(.*?)\]", message)
    kinds = [EXPECTED[kind] for kind in re.findall(r"Expected a <class '(\w+)'>", message) if kind in EXPECTED]
    if not wrong or not (choices or kinds):
        return message
    if wrong[2].startswith(("Namespace(", "NestedArg(", "{")) and kinds == ["a text"]:
        name = wrong[1].replace("_", "-")
        return (
            f"--{name} takes a name. Its options are given as --{name}.NAME VALUE, or by name under {wrong[1]}_options "
            "in a YAML file."
        )
    expected = f"one of {choices[1]}" if choices else " or ".join(kinds)
    if f"--{wrong[1]}" in BY_CLASS:
        words = f"{choices[1]}, or " if choices else ""
        expected = f"{words}NAME=NUMBER for each class, such as defect=0.9,crack=0.8; names with a comma as JSON"
    elif choices and "<class 'float'>" in message:
        expected = f"{choices[1]}, or a number"
    return f"--{wrong[1].replace('_', '-')} is {wrong[2].strip()!r:.200}; it takes {expected}."
