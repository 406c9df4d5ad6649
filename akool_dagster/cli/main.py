"""The group of commands; each is loaded when it is called, for Dagster alone takes a second."""

import importlib
from typing import Any

import click

_COMMANDS = {
    "demo": "akool_dagster.cli.demo",
    "dev": "akool_dagster.cli.dev",
    "plan": "akool_dagster.cli.plan",
    "run": "akool_dagster.cli.run",
    "status": "akool_dagster.cli.status",
    "resolve": "akool_dagster.cli.resolve",
    "avatars": "akool_dagster.cli.avatars",
    "voices": "akool_dagster.cli.voices",
    "retire": "akool_dagster.cli.retire",
    "emulator": "akool_dagster.emulator.command",
    "webhook": "akool_dagster.cli.webhook",
    "doctor": "akool_dagster.cli.doctor",
}

_HELP = {
    "demo": "Make the sample videos on the local emulator, without a key.",
    "dev": "Open the Dagster UI: on AKOOL when a key is set, on the emulator when none is.",
    "plan": "Validate a manifest and say what would be asked for; spends nothing.",
    "run": "Make the videos of a manifest and wait for them. Costs credits.",
    "status": "Show where every script stands; asks nobody but the ledger.",
    "resolve": "Settle a request of which nobody knows whether AKOOL took it.",
    "avatars": "List your own avatars and where each stands; upload them with --upload.",
    "voices": "List the cloned voices that were made here, and delete those not needed.",
    "retire": "Take finished manifests out of the Dagster UI, which stays fast; deletes nothing.",
    "emulator": "Run a local AKOOL for rehearsals and tests.",
    "webhook": "Take AKOOL's callbacks; they settle doubts and save time.",
    "doctor": "Check key, balance, storage, ledger, clock and webhooks; spends nothing.",
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

    def invoke(self, ctx: click.Context) -> Any:
        """Runs the command; what a person can put right ends it with words, not with a trace."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            click.echo("Interrupted.", err=True)
            raise SystemExit(130) from None
        except Exception as error:
            # Imported here: a command that goes well, or is only asked for help, does without.
            from akool_dagster.cli.exits import stop
            from akool_dagster.cli.workplace import PLAIN_ERRORS

            if isinstance(error, PLAIN_ERRORS):
                stop(str(error))
            raise


@click.group(
    cls=_LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 all done; 1 some rows failed; 2 bad input, nothing spent; 3 the account "
    "is stopped (credit, key, ban); 4 some rows are in doubt; 130 interrupted by Ctrl-C.",
)
@click.version_option(package_name="akool-dagster")
def main() -> None:
    """Turn a spreadsheet of scripts into a folder of finished avatar videos, never paying twice."""
