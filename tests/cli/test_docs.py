"""docs/cli.md names every command and exit code. Its blocks are typed by tests/crash/test_cli_page.py."""

from __future__ import annotations

import re
from pathlib import Path

import typer.main

from service.cli import app, exits
from service.cli.main import COMMANDS, GROUPS

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs" / "cli.md").read_text()


def test_the_page_names_every_command_and_exit_code() -> None:
    for name in [command.__name__.replace("_", "-") for part in COMMANDS.values() for command in part]:
        assert re.search(rf"`(tunegate )?{name}\b|^tunegate {name}\b", PAGE, re.M), name
    for name, (_, part) in GROUPS.items():
        assert re.search(rf"^tunegate {name}\b", PAGE, re.M), name
        for command in part.registered_commands:
            own = command.name or (command.callback.__name__ if command.callback else "")
            assert re.search(rf"\b{own}\b", PAGE), f"{name} {own}"
    codes = {value for name, value in vars(exits).items() if name.isupper()}
    assert {f"| {code} |" for code in codes} <= set(re.findall(r"^\| \d+ \|", PAGE, re.M))


def test_every_command_has_help_and_json_where_it_answers() -> None:
    found = typer.main.get_command(app)
    on_the_machine = {"serve", "migrate", "step", "claim", "rotate-secrets", "sandbox", "demo", "backup", "restore"}
    tellers = on_the_machine | {"login", "logout"}
    for name, command in found.commands.items():  # type: ignore[attr-defined]
        assert command.help, name
        options = {option for parameter in command.params for option in parameter.opts}
        assert ("--json" in options) == (name not in tellers), name
        for parameter in command.params:
            assert getattr(parameter, "help", None), f"{name} {parameter.name}"
