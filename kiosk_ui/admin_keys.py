"""The keys for typing names in the screen's language, and what each does to the text. Pure.

Chinese has only Latin letters: use `oneglance people` where characters are needed.
"""

from __future__ import annotations

import unicodedata

from oneglance.kiosk_ui.admin_page import DELETE, LAYOUT, SHIFT, SPACE

Rows = tuple[tuple[str, ...], ...]

DIGITS: Rows = (("1", "2", "3"), ("4", "5", "6"), ("7", "8", "9"), ("", "0", DELETE))
_LETTERS = {
    "en": ("qwertyuiop", "asdfghjkl'", "zxcvbnm-", "äöüßéèñçåø"),
    "de": ("qwertzuiop", "asdfghjkl'", "yxcvbnm-", "äöüßéèñçåø"),
    "es": ("qwertyuiop", "asdfghjklñ", "zxcvbnm-", "áéíóúüçà'"),
    "fr": ("azertyuiop", "qsdfghjklm", "wxcvbn'-", "éèêëàâçîïôùû"),
    # The last five give the vowel before them their tone.
    "vi": ("qwertyuiop", "asdfghjkl'", "zxcvbnm-", "ăâđêôơưàáảãạ"),
}
_TONES = "àáảãạ"
_ARABIC = ("ضصثقفغعهخحج", "شسيبلاتنمكط", "ذئءؤرىةوزظد", "أإآ")
# What changes to the other letters bears one of them.
_OTHER = {True: "abc", False: "ع"}


def rows(code: str, *, own: bool = True) -> Rows:
    """The rows of keys for a language; `own` are its letters if they are not Latin."""
    if code == "ar" and own:
        first, second, third, fourth = _ARABIC
        last = (LAYOUT, *fourth, SPACE, "-", DELETE)
        return (tuple(first), tuple(second), tuple(third), last)
    first, second, third, fourth = _LETTERS.get(code, _LETTERS["en"])
    other = (LAYOUT,) if code == "ar" else ()
    return (
        *(tuple(first), tuple(second), (SHIFT, *third, DELETE), tuple(fourth)),
        (*other, SPACE, "."),
    )


def label(key: str, *, shifted: bool, own: bool = True) -> str:
    """What is written on a key, whether it types a letter or switches between letters."""
    if key == LAYOUT:
        return _OTHER[own]
    return capital(key) if shifted else key


def capital(letter: str) -> str:
    """The letter as a capital; one without a capital stays as it is."""
    upper = letter.upper()
    return upper if len(upper) == 1 else letter


def typed(entry: str, letter: str, code: str) -> str:
    """`entry` with one more letter; in Vietnamese a tone is added to the vowel before it."""
    if code == "vi" and letter.lower() in _TONES and entry:
        tone = unicodedata.normalize("NFD", letter)[-1]
        joined = unicodedata.normalize("NFC", entry[-1] + tone)
        if len(joined) == 1:
            return entry[:-1] + joined
    return entry + letter
