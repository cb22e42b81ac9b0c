"""What the administration tells of the system and of the last decisions. Pure."""

from __future__ import annotations

from oneglance import __version__
from oneglance.config import Config
from oneglance.contract.messages import Decision, Outcome, Status
from oneglance.kiosk_ui.admin_page import Item


def facts_of(config: Config, status: Status | None, connected: bool) -> tuple[Item, ...]:
    """The door, the daemon with what troubles it, the model, the broker and the screen."""
    mqtt, site = config.mqtt, config.site
    items = [Item("", f"{site.name} / {site.door}", "the door")]
    if status is None:
        items.append(Item("", "not heard", "the daemon"))
    else:
        items.append(Item("", status.state.value, f"the daemon, oneglance {status.software}"))
        items += [Item("", reason, "why it is not well") for reason in status.reasons]
        model = f"{status.model_id} {status.model_variant}".strip()
        items.append(Item("", model or "none", "the model"))
    word = "connected" if connected else "not connected"
    items.append(Item("", f"{mqtt.host}:{mqtt.port}", f"the broker, {word}"))
    items.append(Item("", f"oneglance {__version__}", "this screen"))
    return tuple(items)


def recent_of(decision: Decision) -> Item:
    """One decision: when, and what it came to. Names stay with the daemon."""
    at = decision.issued_at.astimezone().strftime("%H:%M:%S")
    if decision.outcome is Outcome.ACCEPTED:
        shown = " and ".join(factor.value for factor in decision.factors)
        return Item("", f"{at}  accepted", f"by {shown}")
    return Item("", f"{at}  rejected", decision.reason.replace("_", " "))
