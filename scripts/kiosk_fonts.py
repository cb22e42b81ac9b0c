"""Cut the screen's fonts to what it draws.

`python scripts/kiosk_fonts.py FOLDER...`

FOLDER holds the Noto fonts of Debian's packages fonts-noto-core, fonts-noto-extra and
fonts-noto-cjk. Writes kiosk_ui/fonts/. Needs fontTools; run it only to change which letters are
included.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from fontTools.subset import Options, Subsetter
from fontTools.ttLib import TTFont

OUT = Path(__file__).resolve().parents[1] / "kiosk_ui" / "fonts"

COMMON = [*range(0x20, 0x7F), *range(0xA0, 0x100), *range(0x2010, 0x2028), 0x2026]
LATIN = [
    *COMMON,
    *range(0x100, 0x250),
    *range(0x300, 0x370),
    *range(0x370, 0x530),
    *range(0x1E00, 0x2000),
    *range(0x20A0, 0x20C0),
]
DIGITS = [ord(c) for c in "0123456789:"]


def of_codecs(*names: str, first: int, last: int) -> set[int]:
    """What a country's old character sets hold between two code points: its usual letters."""
    found = set()
    for code in range(first, last + 1):
        for name in names:
            try:
                text = chr(code).encode(name)
            except UnicodeEncodeError:
                continue
            if len(text) == 2:
                found.add(code)
    return found


def big5_usual() -> set[int]:
    """The 5401 traditional characters in common use: the first level of Big5."""
    found = set()
    for lead in range(0xA4, 0xC7):
        for trail in (*range(0x40, 0x7F), *range(0xA1, 0xFF)):
            text = bytes((lead, trail)).decode("big5", "ignore")
            if (lead, trail) <= (0xC6, 0x7E) and text:
                found.add(ord(text))
    return found


CJK = (
    of_codecs("gb2312", first=0x4E00, last=0x9FFF)
    | big5_usual()
    | of_codecs("euc_kr", first=0xAC00, last=0xD7A3)
    | set(range(0x3000, 0x3100))
    | set(range(0xFF01, 0xFF66))
)

WANTED: dict[str, Iterable[int]] = {
    "NotoSans-Light.ttf": DIGITS,
    "NotoSans-Regular.ttf": LATIN,
    "NotoSans-SemiBold.ttf": LATIN,
    "NotoSansArabic-Regular.ttf": range(0x600, 0x900),
    "NotoSansArabic-SemiBold.ttf": range(0x600, 0x900),
    "NotoSansHebrew-Medium.ttf": range(0x590, 0x600),
    "NotoSansThai-Medium.ttf": range(0xE00, 0xE80),
    "NotoSansDevanagari-Medium.ttf": range(0x900, 0x980),
    "NotoSansBengali-Medium.ttf": range(0x980, 0xA00),
    "NotoSansTamil-Medium.ttf": range(0xB80, 0xC00),
    "NotoSansArmenian-Medium.ttf": range(0x530, 0x590),
    "NotoSansGeorgian-Medium.ttf": [*range(0x10A0, 0x1100), *range(0x1C90, 0x1CC0)],
    "NotoSansCJK-Regular.ttc": CJK,
}
_SIMPLIFIED_CHINESE = 2


def cut(file: Path, wanted: Iterable[int]) -> Path:
    """Write the part of `file` that draws `wanted`; returns the new file."""
    options = Options()
    options.layout_features = ["*"] if "CJK" not in file.name else ["ccmp", "locl"]
    options.name_IDs = [0, 1, 2, 3, 4, 5, 6, 13, 14]
    options.hinting = False
    options.notdef_outline = True
    options.drop_tables += ["FFTM", "DSIG", "vhea", "vmtx", "VORG"]
    is_collection = file.suffix == ".ttc"
    font = TTFont(file, fontNumber=_SIMPLIFIED_CHINESE if is_collection else -1)
    subsetter = Subsetter(options)
    subsetter.populate(unicodes=[0x20, *wanted])
    subsetter.subset(font)
    out = OUT / (file.stem + (".otf" if is_collection else ".ttf"))
    font.save(out)
    return out


def main() -> None:
    """Cut every font of WANTED that the folders hold."""
    OUT.mkdir(exist_ok=True)
    for name, wanted in WANTED.items():
        file = next(f for folder in sys.argv[1:] for f in Path(folder).rglob(name))
        out = cut(file, wanted)
        sys.stdout.write(f"{out.name}: {out.stat().st_size // 1024} KB\n")


if __name__ == "__main__":
    main()
