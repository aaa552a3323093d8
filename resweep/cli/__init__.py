"""The command line: the only package that prints or exits. A file per command, imported when it is called."""

from __future__ import annotations

import importlib
import keyword
import os
import sys
from typing import Any

import click

from resweep import __version__
from resweep.errors import ResweepError

# The help screen. The short help stands here, so that `--help` imports no command.
SECTIONS = {
    "Every day": {
        "generate": "Write one directory per trial, and the script that runs them.",
        "run": "Run trials on this machine, several at a time.",
        "submit": "Submit trials to Slurm as job arrays.",
        "status": "Show the state of every trial, and why it failed or waits.",
        "logs": "Print the log of a trial, once or as it grows.",
        "stop": "Stop running trials and cancel queued jobs, here and on Slurm.",
        "results": "Show swept values and metrics, one row per trial, best first.",
        "report": "Write one page with charts, a table and the files of each trial.",
    },
    "One trial": {
        "show": "Print the filled configuration of a trial, or of a point of CONFIG.",
        "exec": "Run another command with a finished trial's frozen code.",
        "promote": "Make a new sweep from one trial, for example with more seeds.",
    },
    "For papers and other tools": {
        "plot": "Draw a figure of sweeps, as PDF, PNG or SVG.",
        "export": "Write trials as runs of TensorBoard, W&B, MLflow or Comet.",
    },
    "Proof": {
        "verify": "Check every byte of trials, or of an archive.",
        "reproduce": "Re-run a finished trial and compare its outputs bit for bit.",
        "diff": "Compare two trials: values, source, environment, metrics.",
        "env": "Show the recorded environment of a trial, or rebuild it.",
        "pack": "Pack trials into one archive, byte for byte reproducible.",
        "unpack": "Unpack an archive without running any code in it.",
    },
    "Maintenance": {
        "import": "Turn a sweep of W&B or a search space of AllenTune into TOML.",
        "clean": "Remove failed outputs, weights and orphans, after confirmation.",
    },
}
COMMANDS = {name: said for section in SECTIONS.values() for name, said in section.items()}
DEFAULT = "generate"


class _Commands(click.Group):
    def list_commands(self, _context: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, _context: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        module = name + "_" * keyword.iskeyword(name)  # no module or function can be called import
        command: click.Command = getattr(importlib.import_module(f"resweep.cli.{module}"), module)
        return command

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        """`hyper.py CONFIG BASE NAME` generates: what is no command and no option of ours is its first argument."""
        if args and args[0] not in COMMANDS and args[0] not in ("--help", "-h", "--version"):
            _check_command(context, args)
            args = [DEFAULT, *args]
        return super().parse_args(context, args)

    def format_commands(self, _context: click.Context, formatter: click.HelpFormatter) -> None:
        width = max(map(len, COMMANDS))
        for title, commands in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(f"{name:<{width}}", said) for name, said in commands.items()])


def _check_command(context: click.Context, args: list[str]) -> None:
    """Refuse a mistyped command, which would else be taken for the CONFIG of `generate`."""
    if (
        not args[0].startswith("-")
        and len(args) < 3
        and not os.path.splitext(args[0])[1]
        and not os.path.exists(args[0])
    ):
        import difflib

        close = difflib.get_close_matches(args[0], COMMANDS, 1)
        hint = f"did you mean {close[0]}?" if close else "see resweep --help"
        raise click.UsageError(f"no such command: {args[0]}; {hint}", context)


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    subcommand_metavar="[COMMAND] [ARGS]...",
    epilog="resweep CONFIG BASE NAME is short for resweep generate CONFIG BASE NAME.",
)
@click.version_option(__version__, prog_name="resweep")
def cli() -> None:
    """Reproducible sweeps with nothing but files: one frozen directory per trial, one script that runs them all."""


def main(args: list[str] | None = None) -> None:
    """Run the command line and exit: 0 done, 1 a trial failed, 2 a mistake of the user's, 130 interrupted."""
    try:
        status: Any = cli.main(args, standalone_mode=False)
    except ResweepError as error:
        click.echo(f"resweep: {error}", err=True)
        if error.detail:
            click.echo("\n".join(f"    {line}" for line in error.detail.splitlines()), err=True)
        sys.exit(2)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        click.echo("resweep: interrupted", err=True)
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()  # whoever read us has gone, `resweep results rnn | head`
        sys.exit(0)
    sys.exit(status or 0)
