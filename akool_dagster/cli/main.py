"""The group of commands; each is loaded when it is called, for Dagster alone takes a second."""

import importlib

import click

_COMMANDS = {
    "demo": "akool_dagster.cli.demo",
    "dev": "akool_dagster.cli.dev",
    "plan": "akool_dagster.cli.plan",
    "run": "akool_dagster.cli.run",
    "status": "akool_dagster.cli.status",
    "resolve": "akool_dagster.cli.resolve",
    "emulator": "akool_dagster.emulator.command",
}

_HELP = {
    "demo": "Make the sample videos on the local emulator, without a key.",
    "dev": "Open the Dagster UI: on AKOOL when a key is set, on the emulator when none is.",
    "plan": "Validate a manifest and say what would be asked for; spends nothing.",
    "run": "Make the videos of a manifest and wait for them.",
    "status": "Show where every script stands; asks nobody but the ledger.",
    "resolve": "Settle a request of which nobody knows whether AKOOL took it.",
    "emulator": "Run a local AKOOL for rehearsals and tests.",
}


class _LazyGroup(click.Group):
    """Imports a command's module only when that command is wanted."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module = importlib.import_module(_COMMANDS[cmd_name])
        return getattr(module, cmd_name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(_HELP.items()))


@click.group(
    cls=_LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 all done; 1 some rows failed; 2 bad input, nothing spent; 3 the account "
    "is stopped (credit, key, ban); 4 some rows are in doubt.",
)
@click.version_option(package_name="akool-dagster")
def main() -> None:
    """Turn a spreadsheet of scripts into a folder of finished avatar videos, never paying twice."""
