"""`oneglance door`: the lock's service."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from oneglance.cli.options import ConfigOption

RequireLiveness = Annotated[
    bool | None,
    typer.Option(
        "--require-liveness/--no-require-liveness",
        help="Open only for who was seen to be alive; unless given, as the configuration says.",
        show_default=False,
    ),
]


def door(config_file: ConfigOption = None, require_liveness: RequireLiveness = None) -> None:
    """Open the lock when the daemon says so, with one pulse for each accepted visit.

    Acts only on a decision that is signed by this door's daemon, meant for this door, fresh, and
    newer than all before it. Off a Raspberry Pi it moves no real pin (`[door] pin_factory`).

    Example: `oneglance door -c ~/door`; in another terminal
    `oneglance watch -c ~/door` shows what the lock hears and says.
    """
    from rich.console import Console

    from oneglance.config import load_config
    from oneglance.contract.keyring import Role
    from oneglance.contract.keyring_file import read_pins
    from oneglance.door.app import DoorApp
    from oneglance.door.lock import factory_name
    from oneglance.key_files import fingerprint
    from oneglance.signals import stop_on_signals

    config = load_config(config_file, "door.toml")
    if require_liveness is not None:
        asked = config.door.model_copy(update={"require_liveness": require_liveness})
        config = config.model_copy(update={"door": asked})
    app = DoorApp(config)
    settings = config.door
    factory = factory_name(settings.pin_factory)
    note = "mock: no real pin moves" if factory == "mock" else factory
    idle = "low" if settings.active_high else "high"
    now = datetime.now(UTC)
    keys = read_pins(settings.public_key_file).valid(Role.DAEMON, now)

    console = Console(highlight=False, soft_wrap=True, markup=False)
    console.print(f"door {config.site.name}/{config.site.door}")
    console.print(f"pin  {settings.pin} ({note}); shut is {idle}, open for {settings.pulse_s:g} s")
    for key in keys:
        console.print(f"key  {fingerprint(key.key)} ({key.id})")
    if not keys:
        console.print("key  none that counts: nothing opens this door")
    alive = "required" if app.requires_liveness else "not required: a photograph may open this door"
    console.print(f"liveness {alive}")
    with stop_on_signals(app.stop):
        app.run()
