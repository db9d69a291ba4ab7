"""One file per command, found by its name; nothing else is edited to add one.

A module here has one function, `register(app: typer.Typer) -> None`, which calls
`cli.help.add_command` (a command), or `cli.help.add_group` and then `add_command` (a noun with
verbs). It imports features inside functions, never at its top: `--help` imports every file in this
folder.

A command's first parameter is `ctx: typer.Context`; `Session.of(ctx)` is its environment, output,
folders and settings. It returns nothing, raises `SetupError`, and raises `typer.Exit(1)` when all
went well and the answer is no. Help texts are `say(en=…, zh=…)`; every argument and every option
with a value has a `metavar`. `config.py` is the example to copy.
"""
