"""Home Assistant's own core without a screen, asked by lines on standard input.

Runs under the Python that has the package `homeassistant`, not under oneglance's own:
`python headless.py FOLDER`, where FOLDER holds configuration.yaml and .storage. It says `ready`,
and answers each line `states`, `devices`, `call SERVICE ENTITY` or `picture ENTITY` with one line
of JSON: of a call what went wrong, of a picture its bytes in hexadecimal, both null if nothing.
"""

from __future__ import annotations

import asyncio
import json
import sys

from homeassistant import bootstrap
from homeassistant.components.camera import async_get_image
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import device_registry, entity_registry
from homeassistant.runner import RuntimeConfig


async def _serve(folder: str) -> None:
    # What only its web pages need is large, and not installed.
    bootstrap.DEFAULT_INTEGRATIONS = set()
    bootstrap.CRITICAL_INTEGRATIONS = set()
    hass = await bootstrap.async_setup_hass(RuntimeConfig(config_dir=folder, skip_pip=True))
    assert hass is not None
    await hass.async_start()
    await hass.async_block_till_done()
    _say("ready")
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        words = line.split()
        if words[0] == "call":
            _say(await _call(hass, *words[1:]))
        elif words[0] == "picture":
            _say(await _picture(hass, words[1]))
        else:
            _say(_answer(hass, words[0]))
    await hass.async_stop()


async def _call(hass: HomeAssistant, service: str, entity: str) -> str | None:
    try:
        await hass.services.async_call(*service.split("."), {"entity_id": entity}, blocking=True)
    except Exception as error:
        return repr(error)
    return None


async def _picture(hass: HomeAssistant, entity: str) -> str | None:
    try:
        return (await async_get_image(hass, entity)).content.hex()
    except HomeAssistantError:
        return None


def _answer(hass: HomeAssistant, question: str) -> object:
    if question == "states":
        entries = entity_registry.async_get(hass).entities
        return {
            state.entity_id: {
                "state": state.state,
                "attributes": dict(state.attributes),
                "category": getattr(entries.get(state.entity_id), "entity_category", None),
            }
            for state in hass.states.async_all()
        }
    return [
        {"name": device.name, "identifiers": sorted(map(list, device.identifiers))}
        for device in device_registry.async_get(hass).devices.values()
    ]


def _say(answer: object) -> None:
    sys.stdout.write(json.dumps(answer, default=str) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1]))
