"""`oneglance assistant`: the service that asks for Home Assistant."""

from __future__ import annotations

from typing import Annotated

import typer

from oneglance.cli.options import ConfigOption


def assistant(
    config_file: ConfigOption = None,
    withdraw: Annotated[
        bool,
        typer.Option(
            "--withdraw",
            help="Take back what was announced to Home Assistant, and end; stop the service first.",
        ),
    ] = False,
) -> None:
    """Give Home Assistant a button, a lock that it can shut, and a picture, as `[assistant]` says.

    Home Assistant holds no key, and what it sends is not signed: it opens nothing. What may be
    asked of the daemon is signed here with `assistant.key`, which `oneglance keys make assistant`
    makes.

    Example: `oneglance assistant -c assistant.toml`
    """
    from oneglance.config import load_config
    from oneglance.contract.topics import Topics
    from oneglance.door.assistant.app import AssistantApp
    from oneglance.door.assistant.entities import announcements
    from oneglance.signals import stop_on_signals

    config = load_config(config_file, "assistant.toml")
    if withdraw:
        from oneglance.cli.home_assistant import take_back

        topics = Topics(config.site.name, config.site.door)
        told = announcements(topics, config.home_assistant.prefix, config.assistant)
        take_back(config.mqtt, [*told, topics.assistant])
        typer.echo("what could be asked of the door was taken back")
        return
    app = AssistantApp(config)
    with stop_on_signals(app.stop):
        app.run()
