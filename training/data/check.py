"""Check a data set before it is trained on: copies, bad pictures, mixed-up people."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from oneglance.errors import ImageError
from oneglance.faces.model.face_model import FaceModel
from oneglance.faces.pictures import Pictures
from oneglance.training.data.check_copies import exact_copies, near_copies
from oneglance.training.data.check_look import Looked, look_at_all
from oneglance.training.data.check_people import lookalikes, outliers, threshold_for
from oneglance.training.data.identities import by_identity

# A smaller face is enlarged more than twofold to fill the encoder's 112 px.
MIN_FACE_PX = 40.0
MIN_SIDE_PX = 64
# A picture that does not match its own person even at this false match rate is out of place.
OWN_FMR = "1e-2"

Advance = Callable[[str, int, int], None]


class Kind(StrEnum):
    """What can be wrong, worst first."""

    UNREADABLE = "unreadable"
    COPY_ACROSS = "copy_across_identities"
    OUTLIER = "unlike_its_identity"
    LOOKALIKE = "identities_alike"
    COPY = "copy"
    NEAR_COPY = "near_copy"
    NO_FACE = "no_face"
    SEVERAL_FACES = "several_faces"
    TINY = "tiny"
    ONE_PICTURE = "one_picture"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong: the pictures concerned, their identities, and a description."""

    kind: Kind
    pictures: tuple[str, ...]
    identities: tuple[str, ...]
    detail: str


@dataclass(frozen=True, slots=True)
class DataReport:
    """Everything that a check found, worst first, and how much it looked at."""

    source: str
    model_id: str
    pictures: int
    identities: int
    findings: tuple[Finding, ...]

    def counts(self) -> dict[str, int]:
        """Findings by kind, including the kinds that have none."""
        counts = dict.fromkeys(Kind, 0)
        for finding in self.findings:
            counts[finding.kind] += 1
        return {kind.value: count for kind, count in counts.items()}


def check_data(
    pictures: Pictures, of: Mapping[str, str], model: FaceModel, advance: Advance
) -> DataReport:
    """Look at every picture and compare all people; `of` is the identity of each known picture.

    `advance(stage, done, total)` reports progress. Raises ImageError if there is no picture.
    """
    names = pictures.names
    if not names:
        raise ImageError(
            "there are no pictures in it",
            where=str(pictures.source),
            fix="name a folder or zip file that holds JPEG or PNG files",
        )
    done = 0

    def one() -> None:
        nonlocal done
        done += 1
        advance("Looking at pictures", done, len(names))

    looked = look_at_all(pictures, names, model, one)
    findings = [
        *_bad_pictures(looked, of),
        *_copies(looked, of),
        *_mixed_up(looked, of, model, advance),
        *_single(of, names),
    ]
    order = list(Kind)
    findings.sort(key=lambda finding: order.index(finding.kind))
    return DataReport(
        str(pictures.source), model.model_id, len(names), len(set(of.values())), tuple(findings)
    )


def _bad_pictures(looked: Sequence[Looked], of: Mapping[str, str]) -> list[Finding]:
    found = []
    for picture in looked:
        if picture.problem:
            kind, detail = Kind.UNREADABLE, picture.problem
        elif picture.faces == 0:
            kind, detail = Kind.NO_FACE, "no face was found"
        elif picture.faces > 1:
            kind, detail = Kind.SEVERAL_FACES, f"{picture.faces} faces were found"
        else:
            kind, detail = Kind.TINY, ""
        if kind is not Kind.TINY:
            found.append(_finding(kind, [picture], of, detail))
        if not picture.problem and (why := _tiny(picture)):
            found.append(_finding(Kind.TINY, [picture], of, why))
    return found


def _tiny(picture: Looked) -> str:
    if min(picture.width_px, picture.height_px) < MIN_SIDE_PX:
        return f"only {picture.width_px} x {picture.height_px} px"
    if 0 < picture.face_px < MIN_FACE_PX:
        return f"the face is only {picture.face_px:.0f} px wide"
    return ""


def _copies(looked: Sequence[Looked], of: Mapping[str, str]) -> list[Finding]:
    found = []
    for kind, groups, detail in (
        (Kind.COPY, exact_copies(looked), "the same file"),
        (Kind.NEAR_COPY, near_copies(looked), "the same photograph in different files"),
    ):
        for group in groups:
            members = [looked[place] for place in group]
            finding = _finding(kind, members, of, detail)
            if len(finding.identities) > 1:
                finding = _finding(Kind.COPY_ACROSS, members, of, f"{detail}, as different people")
            found.append(finding)
    return found


def _mixed_up(
    looked: Sequence[Looked], of: Mapping[str, str], model: FaceModel, advance: Advance
) -> list[Finding]:
    with_face = [p for p in looked if p.template is not None and p.name in of]
    if not with_face:
        return []
    templates = np.stack([p.template for p in with_face if p.template is not None])
    row_of = {picture.name: row for row, picture in enumerate(with_face)}
    people = by_identity(of, row_of)
    members = {who: [row_of[name] for name in names] for who, names in people.items()}
    known = {float(rate): threshold for rate, threshold in model.manifest.thresholds.items()}
    own, strict = model.threshold(OWN_FMR), known[min(known)]
    by_chance_one = threshold_for(len(members) * (len(members) - 1) // 2, known)
    found = []
    for outlier in outliers(templates, members, model.compare, own, strict):
        detail = f"score {outlier.score:.1f} with its own people, at least {own:.1f} is expected"
        others: tuple[str, ...] = ()
        if outlier.looks_like:
            detail += f"; looks like {outlier.looks_like} ({outlier.other_score:.1f})"
            others = (outlier.looks_like,)
        picture = with_face[outlier.place].name
        companions = [name for name in people[outlier.identity] if name != picture][:3]
        examples = [name for who in others for name in people[who][:2]]
        found.append(
            Finding(
                Kind.OUTLIER,
                (picture, *companions, *examples),
                (outlier.identity, *others),
                detail,
            )
        )
    done = 0

    def some(count: int) -> None:
        nonlocal done
        done += count
        advance("Comparing people", done, len(members))

    for pair in lookalikes(templates, members, model.compare, by_chance_one, some):
        found.append(
            Finding(
                Kind.LOOKALIKE,
                (*people[pair.first][:2], *people[pair.second][:2]),
                (pair.first, pair.second),
                f"score {pair.score:.1f}; among so many people one pair of strangers reaches "
                f"{by_chance_one:.1f}",
            )
        )
    return found


def _single(of: Mapping[str, str], names: Sequence[str]) -> list[Finding]:
    return [
        Finding(Kind.ONE_PICTURE, tuple(own), (who,), "a genuine pair needs two pictures")
        for who, own in by_identity(of, names).items()
        if len(own) == 1
    ]


def _finding(kind: Kind, pictures: Sequence[Looked], of: Mapping[str, str], detail: str) -> Finding:
    people = dict.fromkeys(of[p.name] for p in pictures if p.name in of)
    return Finding(kind, tuple(p.name for p in pictures), tuple(people), detail)
