"""Whether a gallery is small enough for the rate of false accepts that a door promises."""

from __future__ import annotations

from oneglance.config import Config
from oneglance.daemon.build import only_by_claim, rule_of
from oneglance.faces.calibration.door import Door
from oneglance.faces.gallery.codes import L1Head
from oneglance.faces.gallery.enrolment import AGREEMENT_FMR
from oneglance.faces.gallery.fusing import fused
from oneglance.faces.gallery.person import Snapshot
from oneglance.faces.model.face_model import FaceModel


def gallery_fits(
    config: Config, model: FaceModel, snapshot: Snapshot, door: Door | None = None
) -> str:
    """What `decision.far` means for the people of `snapshot`, in words, as the daemon will say it.

    Raises UnsupportedTargetError for so many that the daemon lets nobody in, and ModelError for a
    model whose thresholds support nobody.
    """
    head = L1Head.behind(model.compare, model.template_size)
    rows = fused(snapshot, head, model.threshold(AGREEMENT_FMR))
    rule = rule_of(config, model, door)
    return rule.fits(len(rows.person_ids), rows.most_of_one, claims=only_by_claim(config))
