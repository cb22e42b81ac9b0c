"""What the daemon says about the system and the last decisions, as text for people. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, tzinfo

from oneglance import __version__
from oneglance.config import Config
from oneglance.contract.messages import (
    CHALLENGE_IGNORED,
    CHALLENGE_NOT_SHOWN,
    FACTOR_MISSING,
    LOCK_TEST,
    NOT_PERMITTED,
    PRESENTATION_ATTACK,
    TOO_FEW_PICTURES,
    DoorState,
    Factor,
    LockState,
    Outcome,
    ServiceState,
    Status,
)
from oneglance.kiosk_ui.admin_page import Item
from oneglance.kiosk_ui.language import N_, Say
from oneglance.kiosk_ui.names import clean_name
from oneglance.kiosk_ui.words import day_of, tenths_of, time_of

_STATES = {
    ServiceState.ONLINE: N_("All is well"),
    ServiceState.DEGRADED: N_("Something is out of order"),
    ServiceState.OFFLINE: N_("Off"),
}
_LOCKS = {
    LockState.LOCKED: N_("Locked"),
    LockState.UNLOCKED: N_("Open"),
    LockState.FAULT: N_("Fault: nothing controls the lock"),
}
_NOT_HEARD = N_("Nothing heard")
_FACTORS: dict[str, str] = {
    Factor.FACE: N_("face"),
    Factor.BADGE: N_("badge"),
    Factor.PIN: N_("PIN"),
}
_REASONS = {
    "not_recognised": N_("nobody enrolled looks like that"),
    "ambiguous": N_("two people look like that"),
    "poor_quality": N_("badly seen"),
    PRESENTATION_ATTACK: N_("perhaps a photograph or a screen"),
    TOO_FEW_PICTURES: N_("badly seen"),
    CHALLENGE_IGNORED: N_("did not do what was asked"),
    CHALLENGE_NOT_SHOWN: N_("the screen did not show the challenge"),
    NOT_PERMITTED: N_("may not come in at that time"),
    FACTOR_MISSING: N_("badge or PIN was missing"),
}


@dataclass(frozen=True, slots=True)
class House:
    """What this screen itself has heard."""

    config: Config
    status: Status | None = None
    door: DoorState | None = None
    connected: bool = False
    # The event of the last test of the lock that the daemon signed.
    lock_test: str = ""


def lock_said(door: DoorState | None, say: Say) -> str:
    """What the lock says about itself."""
    return say(_NOT_HEARD if door is None else _LOCKS[door.state])


def facts_of(text: str, house: House, say: Say) -> tuple[Item, ...]:
    """The system's state, from the daemon's answer to `system` and from what was heard here."""
    status, config = house.status, house.config
    told = [line.split("  ") for line in text.splitlines()]
    state = say(_NOT_HEARD if status is None else _STATES[status.state])
    items = [Item("", state, say(N_("the daemon")))]
    if status is not None:
        items += [Item("", reason, say(N_("what is wrong"))) for reason in status.reasons]
    items += [
        Item("", say(N_("Works")) if rest == ["ok"] else " ".join(rest), _camera(name, say))
        for kind, name, *rest in (line for line in told if len(line) > 2)
        if kind == "camera"
    ]
    items.append(Item("", lock_said(house.door, say), say(N_("the lock"))))
    word = N_("the broker, connected") if house.connected else N_("the broker, not connected")
    items.append(Item("", f"{config.mqtt.host}:{config.mqtt.port}", say(word)))
    for kind, *rest in told:
        items += _machine(kind, rest, say)
    items.append(Item("", f"oneglance {__version__}", say(N_("this screen's version"))))
    return tuple(items)


def _camera(name: str, say: Say) -> str:
    return say(N_("the camera {name}"), name=name)


def _machine(kind: str, rest: list[str], say: Say) -> list[Item]:
    match kind, rest:
        case "temperature", [degrees]:
            return [Item("", f"{tenths_of(degrees, say)} °C", say(N_("the machine's temperature")))]
        case "disk", [free, whole] if free.isdecimal() and whole.isdecimal():
            free_gb, whole_gb = (tenths_of(f"{int(mib) / 1024:.1f}", say) for mib in (free, whole))
            said = say(N_("{free} of {whole} GB free"), free=free_gb, whole=whole_gb)
            return [Item("", said, say(N_("the machine's disk")))]
        case "people", [count]:
            return [Item("", count, say(N_("people enrolled")))]
        case "model", [name]:
            return [Item("", name, say(N_("the model")))]
        case "software", [version]:
            return [Item("", f"oneglance {version}", say(N_("the daemon's version")))]
    return []


def recent_of(text: str, say: Say, zone: tzinfo | None = None) -> tuple[Item, ...]:
    """The last decisions, from the daemon's answer to `decisions`: who, when, how or why not.

    Times are in the door's `zone`, or in this machine's without one.
    """
    items = []
    for line in text.splitlines():
        at, *rest = line.split("  ", 3)
        outcome, why, name = (*rest, "", "", "")[:3]
        try:
            wall = datetime.fromisoformat(at).astimezone(zone)
        except (ValueError, OverflowError):
            continue
        if why == LOCK_TEST:
            who, why = say(N_("Test of the lock")), ""
        elif outcome == Outcome.ACCEPTED:
            who = clean_name(name) or say(N_("Let in"))
            why = " + ".join(say(_FACTORS.get(factor, factor)) for factor in why.split("+"))
        else:
            who, why = say(N_("Not let in")), say(_REASONS.get(why, why))
        when = f"{day_of(wall, say)} {time_of(wall)}"
        items.append(Item("", who, f"{when} · {why}" if why else when))
    return tuple(items)
