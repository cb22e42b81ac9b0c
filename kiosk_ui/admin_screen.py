"""The screen's settings: language, brightness and PIN, and a restart of the live picture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from oneglance.kiosk_ui.admin_desk import Desk, Do
from oneglance.kiosk_ui.admin_page import Item, Page
from oneglance.kiosk_ui.kept import Kept
from oneglance.kiosk_ui.language import LANGUAGES, N_, language

THIS_SCREEN = N_("This screen")
_LANGUAGE, _BRIGHTNESS = N_("Language"), N_("Brightness")
_LIGHTS = (1.0, 0.8, 0.6, 0.4, 0.2)
# Each in itself: who reads no other one has to find it.
_NAMES = {
    "en": "English",
    "de": "Deutsch",
    "es": "Español",
    "fr": "Français",
    "vi": "Tiếng Việt",
    "ar": "العربية",
    "zh": "中文",
}


class ScreenPages:
    """`show` is in the menu. `keep` applies a choice at once; False if it could not be stored.

    `change_pin` and `anew` (restart the live picture) belong to other modules.
    """

    def __init__(
        self,
        desk: Desk,
        kept: Callable[[], Kept],
        keep: Callable[[Kept], bool],
        change_pin: Do,
        anew: Do,
    ) -> None:
        self._desk = desk
        self._kept = kept
        self._keep = keep
        self._change_pin = change_pin
        self._anew = anew

    def show(self) -> None:
        """Show the settings."""
        desk, say = self._desk, self._desk.say
        light = f"{round(100 * self._kept().light)} %"
        items = (
            Item("language", say(_LANGUAGE), _NAMES[desk.language.code]),
            Item("brightness", say(_BRIGHTNESS), light),
            Item("pin", say(N_("Change the PIN")), say(N_("for this administration"))),
            Item("picture", say(N_("Restart the live picture")), say(N_("if it hangs"))),
        )
        on = {
            "language": self._languages,
            "brightness": self._lights,
            "pin": self._change_pin,
            "picture": self._picture,
            "back": desk.menu,
        }
        desk.show(Page(say(THIS_SCREEN), items=items, buttons=(desk.back_button(),)), on)

    def _languages(self) -> None:
        chosen = self._desk.language.code
        items = [Item(code, _NAMES[code], chosen=code == chosen) for code in LANGUAGES]
        self._choices(_LANGUAGE, items, {code: partial(self._speak, code) for code in LANGUAGES})

    def _speak(self, code: str) -> None:
        self._desk.language = language(code)
        self._chosen(replace(self._kept(), language=code), self._languages)

    def _lights(self) -> None:
        chosen = self._kept().light
        items = [
            Item(f"{round(100 * light)}", f"{round(100 * light)} %", chosen=light == chosen)
            for light in _LIGHTS
        ]
        self._choices(
            _BRIGHTNESS,
            items,
            {f"{round(100 * light)}": partial(self._shine, light) for light in _LIGHTS},
        )

    def _shine(self, light: float) -> None:
        self._chosen(replace(self._kept(), light=light), self._lights)

    def _choices(self, title: str, items: list[Item], on: dict[str, Do]) -> None:
        desk = self._desk
        page = Page(desk.say(title), items=tuple(items), buttons=(desk.back_button(),))
        desk.show(page, on | {"back": self.show})

    def _chosen(self, kept: Kept, then: Do) -> None:
        desk = self._desk
        if self._keep(kept):
            then()
        else:
            line = desk.say(N_("It counts until the screen restarts: it could not be saved"))
            desk.tell(desk.say(THIS_SCREEN), line, self.show)

    def _picture(self) -> None:
        self._anew()
        title, line = self._desk.say(N_("Live picture")), self._desk.say(N_("It is starting again"))
        self._desk.tell(title, line, self.show, error=False)
