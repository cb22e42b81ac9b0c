"""The screen's words: gather the messages, bring the catalogues up to date, compile them.

`python scripts/kiosk_words.py` (make words). Translate in
kiosk_ui/locale/LANGUAGE/LC_MESSAGES/kiosk.po; the compiled catalogue stands beside it. Needs Babel.
"""

from __future__ import annotations

import sys
from io import BytesIO
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

ROOT = Path(__file__).resolve().parents[1]
LOCALE = ROOT / "kiosk_ui" / "locale"


def gathered() -> Catalog:
    """Every message that the screen's sources mark with `N_`."""
    catalogue = Catalog(project="oneglance", charset="utf-8")
    found = extract_from_dir(ROOT / "kiosk_ui", [("**.py", "python")], keywords={"N_": None})
    for file, _, message, _, _ in found:
        catalogue.add(message, locations=[(f"kiosk_ui/{file}", 0)])
    return catalogue


def compiled(source: Path) -> bytes:
    """A catalogue in the form that gettext reads."""
    with source.open("rb") as file:
        catalogue = read_po(file, locale=source.parents[1].name)
    out = BytesIO()
    write_mo(out, catalogue)
    return out.getvalue()


def main() -> None:
    """Update and compile every catalogue; print what is left to translate."""
    template = gathered()
    for source in sorted(LOCALE.glob("*/LC_MESSAGES/kiosk.po")):
        code = source.parents[1].name
        with source.open("rb") as file:
            catalogue = read_po(file, locale=code)
        # A date would turn every run into a change.
        template.creation_date = catalogue.creation_date
        catalogue.update(template, no_fuzzy_matching=True)
        catalogue.obsolete.clear()
        with source.open("wb") as file:
            write_po(file, catalogue, omit_header=False, no_location=False, width=96)
        source.with_suffix(".mo").write_bytes(compiled(source))
        missing = [m.id for m in catalogue if m.id and not m.string]
        sys.stdout.write(f"{code}: {len(catalogue)} messages, {len(missing)} not translated\n")


if __name__ == "__main__":
    main()
