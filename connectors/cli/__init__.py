"""The ``twofold`` command: a group whose subcommands are imported only when they are used."""

from __future__ import annotations

from importlib import import_module

import click

COMMANDS = {
    "up": "connectors.cli.stack:up",
    "down": "connectors.cli.stack:down",
    "status": "connectors.cli.stack:status",
    "env": "connectors.cli.stack:env",
    "worker": "connectors.cli.worker:worker",
    "sink": "connectors.cli.sink:sink",
    "migrate": "connectors.cli.sink:migrate",
    "reconcile": "connectors.cli.reconcile:reconcile",
    "verify": "connectors.cli.verify:verify",
    "topics": "connectors.cli.topics:topics",
    "schemas": "connectors.cli.schemas:schemas",
    "replay": "connectors.cli.replay:replay",
    "offsets": "connectors.cli.offsets:offsets",
    "generate": "connectors.cli.generate:generate",
    "produce": "connectors.cli.produce:produce",
    "account": "connectors.cli.queries:account",
    "transfer": "connectors.cli.queries:transfer",
    "statement": "connectors.cli.queries:statement",
}


class LazyGroup(click.Group):
    """A group that knows its commands by name and imports one only to run it or to show its help."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order of the table: services first, then data."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the module that holds the command."""
        if cmd_name not in COMMANDS:
            return None
        module, attribute = COMMANDS[cmd_name].split(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="twofold")
def main() -> None:
    """A double-entry payments ledger on Kafka.

    \b
    twofold up --detach            start Kafka, the registry, Postgres and the ledger's agents
    eval "$(twofold env)"          point this shell at them
    twofold generate --seed 1 --count 1000 --accounts 50 --produce
    twofold verify                 check every invariant

    \b
    Exit codes of every command: 0 done and all holds; 1 a check failed or something was refused;
    2 wrong usage; 3 halted, an operator has to act (the message says how); 130 interrupted.
    """
