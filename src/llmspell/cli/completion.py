"""``llmspell --install-completion``: let the shell complete commands and options."""

from __future__ import annotations

from typing import Annotated, Literal

from cyclopts import Parameter

from llmspell.cli.invocation import running
from llmspell.errors import InvalidInput
from llmspell.security.key_files import check_output


def install_completion(
    *, shell: Annotated[
        Literal["bash", "zsh", "fish", "powershell"] | None, Parameter(help="Which shell; default: the one that runs.")
    ] = None,
    output: Annotated[
        str | None, Parameter(name=("--output", "-o"), help="Write the script there and change nothing else.")
    ] = None,
) -> None:  # fmt: skip
    """Set up completion for your shell: writes a script, and a line in the shell's own file that loads it."""
    from cyclopts.completion.detect import ShellDetectionError, detect_shell

    from llmspell.cli.dispatch import program

    try:
        which = shell or detect_shell()
    except ShellDetectionError:
        raise InvalidInput("cannot tell which shell runs", code="usage", hint="name it with --shell") from None
    target = None if output is None else check_output(output)
    path = program(colored=False).install_completion(shell=which, output=target, add_to_startup=target is None)
    told = f"installed completion for {which} at {path}; it works in new shells"
    running.get().out.done({"shell": which, "path": str(path)}, told, bare=path)
