"""The kiosk: a client that listens, a reducer that decides what to show, a window that shows it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, tzinfo
from typing import Any

from oneglance.config import Config
from oneglance.contract.preview_lease import Shot
from oneglance.errors import ConfigError, OneglanceError
from oneglance.kiosk_ui.admin import administration
from oneglance.kiosk_ui.admin_desk import Desk
from oneglance.kiosk_ui.admin_facts import House
from oneglance.kiosk_ui.admin_link import AdminLink
from oneglance.kiosk_ui.backlight import set_backlight
from oneglance.kiosk_ui.client import KioskClient
from oneglance.kiosk_ui.kept import Kept, kept_file, write_kept
from oneglance.kiosk_ui.kivy_window import FRAMES_PER_S, silent_kivy
from oneglance.kiosk_ui.language import Language
from oneglance.kiosk_ui.pad_keys import Key, key_at
from oneglance.kiosk_ui.pin_pad import UNHEARD
from oneglance.kiosk_ui.reducer import (
    Event,
    KeyPressed,
    KioskState,
    PinAnswered,
    PinSent,
    Tick,
    initial,
    reduce,
)
from oneglance.kiosk_ui.screen import PICTURED, Kind, ScreenState
from oneglance.kiosk_ui.sounds import Sounds
from oneglance.kiosk_ui.speech import Script, Voice
from oneglance.kiosk_ui.stage import Stage, is_touched
from oneglance.kiosk_ui.verify_button import Button, Verify, presses
from oneglance.schedule import Schedule, zone_of
from oneglance.sdnotify import Notifier
from oneglance.signals import stop_on_signals

log = logging.getLogger(__name__)

# How long the loop may sleep while nothing moves, and so the longest that a touch has to wait.
_REST_S = 0.1
# Only these screens are dimmed: anybody who comes near wakes the screen.
_MAY_DIM = {Kind.IDLE, Kind.OFFLINE, Kind.MAINTENANCE, Kind.CAMERA_LOST, Kind.DOOR_FAULT}
# Somebody is at the door, so staff can wait.
BUSY_WITH_VISITORS = PICTURED | {Kind.WELCOME, Kind.PIN_PAD}


class KioskApp:
    """One run of the kiosk. `run` blocks in the thread that owns the window."""

    def __init__(
        self, config: Config, notifier: Notifier | None = None, client: KioskClient | None = None
    ) -> None:
        self._config = config
        self._client = client or KioskClient(config)
        self._notifier = notifier or Notifier()
        self._fullscreen = config.kiosk.fullscreen
        self._dims = Schedule.of(config.kiosk.dim) if config.kiosk.dim else None
        self._has_pad = config.kiosk.pin_pad
        self._state = initial(
            time.monotonic(),
            config.kiosk.result_s,
            has_pad=self._has_pad,
            discreet=config.kiosk.greeting == "discreet",
        )
        self._keys: list[KeyPressed] = []
        self._has_verify = config.kiosk.verify_button
        self._verify = Verify()
        self._verify_pressed = False
        self._kept = Kept()
        self._desk = self._admin_desk()
        self._shot: Shot | None = None
        self._sounds: Sounds | None = None
        self._voice: Voice | None = None
        self._script: Script | None = None
        self._view: Any = None
        self.live: Any = None
        self.stage: Any = None
        self._bar: Any = None
        self.admin: Any = None
        self._staff: Any = None
        self._veil: Any = None
        self._fed_at_s = 0.0
        self._ready = False
        self._stopping = False

    def run(self, stage: Stage) -> None:
        """Show the screen on its stage until SIGTERM, SIGINT or the end of the window.

        Raises OneglanceError if a full-screen window was closed: its service then restarts it.
        """
        from kivy.base import runTouchApp, stopTouchApp
        from kivy.clock import Clock

        from oneglance.kiosk_ui.admin_tile import StaffButton
        from oneglance.kiosk_ui.admin_view import AdminView
        from oneglance.kiosk_ui.preview_view import LivePicture
        from oneglance.kiosk_ui.veil import Veil
        from oneglance.kiosk_ui.verify_view import VerifyBar

        window, self._view, self.stage = stage.window, stage.view, stage.root
        self._view.on_key = self.press
        self._state = replace(self._state, screen=stage.screen)
        self._kept = stage.kept
        self.live = LivePicture()
        self.live.under(self._view)
        self._bar = VerifyBar(self.press_verify, self._view.language, self._view.theme)
        self._veil = Veil(self.stage)
        if self._desk is not None:
            self._desk.language = self._view.language
            self.admin = AdminView(self._desk.press, self._view.language, self._view.theme)
            self._staff = StaffButton(self._desk.open, self._view.theme)
        if is_touched(self._config):
            window.bind(
                on_key_down=lambda _, _key, place, text, modifiers: self._typed(
                    place, text, shift="shift" in modifiers
                )
            )
        if self._config.kiosk.sounds:
            from kivy.core.audio import SoundLoader

            with silent_kivy():
                self._sounds = Sounds(SoundLoader.load)
        if self._config.kiosk.speech:
            self._speak_in(self._view.language)
        if self._kept != Kept():
            self._shine()
        self._client.start()
        try:
            with stop_on_signals(self.stop):
                window.bind(on_flip=self._flipped)
                Clock.schedule_interval(lambda _: self._frame(stopTouchApp), 1 / FRAMES_PER_S)
                runTouchApp(self.stage)
            if self._fullscreen and not self._stopping:
                raise OneglanceError(
                    "the window was closed", where="kiosk", fix="as a service it comes back itself"
                )
        finally:
            self._notifier.stopping()
            self._client.stop()
            if self._voice is not None:
                self._voice.stop()
            window.close()

    def stop(self) -> None:
        """End `run` at its next frame; may be called from any thread or signal handler."""
        self._stopping = True

    def _frame(self, end: Callable[[], None]) -> None:
        if self._stopping:
            end()
            return
        # From here on, anything that arrives ends the wait below at once.
        self._client.news.clear()
        self.turn()
        screen, now_s, wall = self._state.screen, time.monotonic(), self._wall()
        self._view.show(screen, now_s, wall)
        self._view.dimmed = self.dimmed(screen.kind, wall)
        self.live.show(self._shot, screen)
        foot = self._view.theme.foot(screen.kind)
        self._bar.show(self.button, self.stage, self._view, foot)
        if self._desk is not None:
            at_rest = screen.kind not in BUSY_WITH_VISITORS
            self._staff.stand(self.stage, self._desk.language, there=at_rest)
            shifted = self._desk.shifted
            self.admin.show(self._desk.page, self.stage, self._shot, shifted=shifted)
        covered = self._desk is not None and self._desk.page is not None
        challenge = self._state.challenge
        if screen.kind is Kind.CHALLENGE and challenge is not None and not covered:
            self._client.shown(challenge)
        if not covered:
            self._speak(screen, now_s)
        self.feed_watchdog()
        moves = self._view.moves(screen, now_s) or covered
        if not (moves or self._state.pad.open):
            self._client.news.wait(_REST_S)

    def _speak(self, screen: ScreenState, now_s: float) -> None:
        if self._voice is None or self._script is None:
            return
        words = self._script.due(screen, now_s, speaking=self._voice.speaking(now_s))
        if words:
            self._voice.say(words, now_s)

    def _wall(self) -> datetime:
        """The time at the door."""
        zone = self._config.site.timezone
        return datetime.now(zone_of(zone)) if zone else datetime.now().astimezone()

    def dimmed(self, kind: Kind, wall: datetime) -> float:
        """How much the screen is dimmed now."""
        if self._dims is None or kind not in _MAY_DIM:
            return 0.0
        return self._config.kiosk.dim_by if self._dims.holds(wall, _zone_at(wall)) else 0.0

    @property
    def shot(self) -> Shot | None:
        """The visitors' own picture, while it is shown."""
        return self._shot

    @property
    def state(self) -> KioskState:
        """What the kiosk knows and shows."""
        return self._state

    def press(self, key: str) -> None:
        """A key of the PIN pad was touched or typed; it takes effect in the next turn."""
        self._keys.append(KeyPressed(key))

    def press_verify(self) -> None:
        """The Verify button was touched or typed; it takes effect in the next turn."""
        self._verify_pressed = True

    @property
    def button(self) -> Button:
        """The Verify button as it is now."""
        # On the administration's pages it would cover their own buttons.
        covered = self._desk is not None and self._desk.page is not None
        if covered or not self._has_verify:
            return Button(there=False, ready=False, text="")
        return self._verify.button(self._state.screen.kind, time.monotonic())

    def turn(self) -> None:
        """Process what was heard and pressed since the last turn, and send what is due."""
        keys, self._keys = self._keys, []
        for event in (*self._client.drain(), *keys, Tick()):
            self._learn(event)
        pin = self._state.pad.to_send(time.monotonic())
        if pin:
            self._learn(PinSent() if self._client.claim(pin) else PinAnswered(UNHEARD))
        self._ask_to_look()
        wanted = self._state.screen.kind in PICTURED
        if self._desk is not None:
            self._desk.turn()
            page = self._desk.page
            wanted = wanted if page is None else page.picture
        self._shot = self._client.picture(wanted=wanted)

    def _learn(self, event: Event) -> None:
        before = self._state.screen.kind
        self._state = reduce(self._state, event, time.monotonic())
        if self._state.screen.kind is not before:
            self._tell()
            if self._sounds is not None:
                self._sounds.play(self._state.screen.kind)

    def _ask_to_look(self) -> None:
        pressed, self._verify_pressed = self._verify_pressed, False
        code, self._client.verify_code = self._client.verify_code, None
        now_s = time.monotonic()
        if code is not None:
            self._verify = self._verify.answered(code, now_s)
        self._verify = self._verify.later(now_s)
        if pressed and self.button.there and self.button.ready:
            self._verify = self._verify.sent(now_s, out=self._client.verify())

    def _keep(self, kept: Kept) -> bool:
        """Let what staff chose count at once; False if it is not kept."""
        self._kept = kept
        if self._desk is not None:
            spoken = self._desk.language
            if self._voice is not None and spoken != self._view.language:
                self._voice.stop()
                self._speak_in(spoken)
            for part in (self._view, self.admin, self._bar):
                part.language = spoken
        self._shine()
        try:
            file = kept_file(self._config.kiosk.admin_file)
            if file is not None:
                write_kept(file, kept)
        except ConfigError as error:
            log.error("%s", error)
            return False
        return True

    def _speak_in(self, language: Language) -> None:
        """Say aloud what is said, from now on in this language."""
        self._script, self._voice = Script(language), Voice(language.code)

    def _shine(self) -> None:
        """Give the panel the light that staff chose: its own, or else by drawing darker."""
        if self._desk is None:
            return
        done = set_backlight(self._kept.light)
        self._veil.show(0.0 if done else 1.0 - self._kept.light)

    def _admin_desk(self) -> Desk | None:
        file = self._config.kiosk.admin_file
        if file is None:
            return None
        return administration(
            file,
            lambda key: AdminLink(self._config, key),
            time.monotonic,
            house=lambda: House(
                self._config,
                self._state.status,
                self._state.door,
                connected=self._client.connected,
                lock_test=self._state.lock_test,
            ),
            kept=lambda: self._kept,
            keep=self._keep,
            anew=self._client.picture_anew,
            photo_folders=self._config.kiosk.photo_folders,
        )

    def _typed(self, place: int, text: str | None = None, *, shift: bool = False) -> bool:
        """A key of the keyboard; True if it was used, so that it must not close the window."""
        if self._desk is not None and self._desk.page is not None:
            self._desk.type(place, text or "", shift=shift)
            return True
        if presses(place) and not self._state.pad.open and self.button.there:
            self.press_verify()
            return True
        if not self._has_pad:
            return False
        key = key_at(place)
        if key is None or (key is Key.CLOSE and not self._state.pad.open):
            return False
        self.press(key)
        return True

    def _tell(self) -> None:
        text = f"shows {self._state.screen.kind.value}"
        log.info(text)
        self._notifier.status(text)

    def feed_watchdog(self) -> None:
        """The window just worked; whether it also hears is for the client to say."""
        period_s = self._notifier.watchdog_period_s
        now_s = time.monotonic()
        if period_s is not None and self._client.alive and now_s - self._fed_at_s >= period_s / 2:
            self._fed_at_s = now_s
            self._notifier.watchdog()

    def _flipped(self, *_: object) -> None:
        # Only the first frame on the display proves that the screen works. Later ones prove nothing
        # more, as Kivy draws none while the picture does not change.
        if not self._ready:
            self._ready = True
            self._notifier.ready()


def _zone_at(wall: datetime) -> tzinfo:
    zone = wall.tzinfo
    return UTC if zone is None else zone
