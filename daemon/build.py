"""Build the daemon's parts from its configuration; each error names its cause and what to do."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, replace
from datetime import timedelta
from functools import partial
from random import SystemRandom

import cv2
import numpy as np
import rfc8785

from oneglance import __version__
from oneglance.audit.entry import Signer
from oneglance.audit.generations import CREDENTIALS, Generations
from oneglance.audit.log import Audit
from oneglance.audit.snapshots import Snapshots
from oneglance.clocks import Clocks
from oneglance.config import Config
from oneglance.contract.discovery import Announcer, announced, birth_topic
from oneglance.contract.keyring import Role
from oneglance.contract.keyring_file import PinnedKeys, daemon_keys, read_keyring
from oneglance.contract.messages import Reply
from oneglance.contract.preview import VERB as PREVIEW
from oneglance.contract.signing import load_signing_key, sign
from oneglance.contract.topics import Topics
from oneglance.daemon.access.entrance import Entrance
from oneglance.daemon.gallery.credential_watch import CredentialWatch
from oneglance.daemon.gallery.enrol_looks import EnrolLooks, Glance
from oneglance.daemon.gallery.logged import Log, deletion
from oneglance.daemon.gallery.sharing import Sharing
from oneglance.daemon.gallery.strangers import StrangerKeeper
from oneglance.daemon.gallery.verbs import gallery_verbs
from oneglance.daemon.gallery.watch import GalleryWatch
from oneglance.daemon.house import house_verbs
from oneglance.daemon.pipeline import Pipeline
from oneglance.daemon.sight.search import door_detector
from oneglance.daemon.standing import Notice
from oneglance.daemon.visit.access import Policy, permitted
from oneglance.daemon.visit.challenges import Challenges
from oneglance.daemon.visit.decide import FUSED_WORTH, UNFUSED_WORTH, Rule, Verdict
from oneglance.daemon.voice.authority import Authority
from oneglance.daemon.voice.challenge_shown import challenge_shown
from oneglance.daemon.voice.commands import CommandDesk
from oneglance.daemon.voice.home_assistant import HomeAssistant, announcements
from oneglance.daemon.voice.issuer import Issuer
from oneglance.daemon.voice.lock_test import LockTest
from oneglance.daemon.voice.nonces import NonceFile
from oneglance.daemon.voice.outlet import Outlet
from oneglance.daemon.voice.preview import Preview
from oneglance.daemon.voice.preview_socket import PreviewSocket, users_of
from oneglance.daemon.voice.publisher import Publisher
from oneglance.daemon.voice.scribe import Scribe
from oneglance.daemon.voice.sequence import SequenceFile
from oneglance.daemon.voice.verbs import Verb
from oneglance.errors import AuditError, GalleryError, ModelError
from oneglance.faces.calibration.door import CalibratedTail, Door, Templates
from oneglance.faces.calibration.file import OtherModelError
from oneglance.faces.calibration.setup import any_door, kept_calibration, stranger_file
from oneglance.faces.calibration.store import delete_strangers
from oneglance.faces.gallery.codes import L1Head
from oneglance.faces.gallery.credentials import CredentialFile
from oneglance.faces.gallery.enrolment import AGREEMENT_FMR
from oneglance.faces.gallery.fusing import fuse, fused, newest
from oneglance.faces.gallery.identify import with_codes
from oneglance.faces.gallery.person import Person, Snapshot
from oneglance.faces.gallery.setup import configured_witness, open_configured
from oneglance.faces.gallery.vault import load_key
from oneglance.faces.gallery.witness import RestoredGalleryError, StaleLogError
from oneglance.faces.liveness.judge import Liveness, load_liveness
from oneglance.faces.model.face_model import FaceModel
from oneglance.faces.model.setup import load_configured, model_key
from oneglance.faces.model.tail import tail_of
from oneglance.key_files import load_sealing_key
from oneglance.timing import OnStage

log = logging.getLogger(__name__)

# Two looks in a row of one person are far more alike than two photographs: a rate of false
# matches that is lax between strangers' photographs is strict here.
SAME_FACE_FMR = "1e-3"
# Parts of the configuration that do not affect decisions. A camera's URL may carry its password.
NO_POLICY = frozenset(
    {"mqtt", "metrics", "preview", "kiosk", "camera", "home_assistant", "assistant"}
)


def door_of(config: Config, model: FaceModel) -> Door | None:
    """What is known about this door's pictures, or about any door's if it is not calibrated.

    None if the model tells nothing of doors either. Raises GalleryError for a calibration that is
    damaged or was changed, ModelError for such a manifest.
    """
    try:
        kept = kept_calibration(config, model)
    except OtherModelError as error:
        log.warning("the model's own thresholds hold: %s", error)
        kept = None
    return any_door(model) if kept is None else kept.door


def calibrated_door(config: Config, model: FaceModel) -> Door | None:
    """What was learned about this door, None if nothing counts. Raises GalleryError."""
    with suppress(OtherModelError):
        kept = kept_calibration(config, model)
        return None if kept is None else kept.door
    return None


def rule_of(config: Config, model: FaceModel, door: Door | None = None) -> Rule:
    """The rule of decisions, at a calibrated `door`.

    Raises ModelError if the model's thresholds cannot support any.
    """
    decision = config.decision
    fitted = tail_of(model.manifest.raw["thresholds"])
    tail = fitted if door is None else CalibratedTail(fitted, door)
    worth = FUSED_WORTH if _fuses(model) else UNFUSED_WORTH
    return Rule(float(decision.far), decision.frames, decision.patience_s, tail, worth)


def _fuses(model: FaceModel) -> bool:
    """Whether the looks of a visit can be fused: where the head is what `fuse` is for."""
    return L1Head.behind(model.compare, model.template_size) is not None


def only_by_claim(config: Config) -> bool:
    """Whether nobody may enter this door by face alone."""
    return Policy.of(config.access, config.site.timezone).always_claims


def comparable(model: FaceModel, door: Door | None) -> Callable[[Snapshot], Snapshot]:
    """A function that turns a stored gallery into the one that looks at `door` are compared with.

    One row a person where pictures agree, each settled, and fast to search.
    """
    head = L1Head.behind(model.compare, model.template_size)
    agreement = model.threshold(AGREEMENT_FMR)

    def prepared(snapshot: Snapshot) -> Snapshot:
        rows = fused(snapshot, head, agreement)
        if door is not None:
            rows = replace(rows, templates=door.settled(rows.templates))
        return with_codes(rows, head)

    return prepared


def build_pipeline(
    config: Config, clocks: Clocks, on_stage: OnStage | None = None, *, at_door: bool = True
) -> tuple[FaceModel, Pipeline]:
    """The model, warmed up, and the pipeline that uses it. Raises ModelError.

    `at_door`: templates are settled as `door_of` says (and GalleryError is raised as there), which
    a gallery that it compares with must be, too. Else they stay as encoded.

    Without the liveness model that the policy needs the daemon runs, says so, and accepts nobody.
    """
    cv2.setNumThreads(config.model.threads)
    model = load_configured(config)
    # The first inference allocates; nobody should stand at the door meanwhile.
    model.encode(np.zeros((1, 112, 112, 3), np.uint8))
    decision = config.decision
    liveness, problem = _liveness(config)
    policy = Policy.of(config.access, config.site.timezone)

    def permit(verdict: Verdict, gallery: Snapshot) -> Verdict:
        groups = gallery.groups_of(verdict.person_id or "")
        return permitted(verdict, policy, groups, clocks.wall())

    asks = config.liveness.policy == "passive+challenge"
    challenges = Challenges(SystemRandom(), clocks.monotonic_s) if asks else None
    door = door_of(config, model) if at_door else None
    same_face = model.threshold(SAME_FACE_FMR)
    pipeline = Pipeline(
        model,
        door_detector(),
        rule_of(config, model, door),
        same_face=same_face if door is None else door.lifted(same_face),
        min_face_px=decision.min_face_px,
        lifetime_s=decision.lifetime_s,
        clock_s=clocks.monotonic_s,
        liveness=liveness,
        problem=problem,
        permit=permit,
        challenges=challenges,
        in_doubt=config.liveness.asks == "doubtful",
        settle=_as_it_is if door is None else door.settled,
        combine=fuse if _fuses(model) else newest,
        on_stage=on_stage,
    )
    return model, pipeline


def _as_it_is(templates: Templates) -> Templates:
    return templates


def _liveness(config: Config) -> tuple[Liveness | None, str]:
    if config.liveness.policy == "off":
        log.warning("liveness.policy is off: a photograph of somebody enrolled opens this door")
        return None, ""
    try:
        key = model_key(config)
        asks, threads = config.liveness, config.model.threads
        loaded = load_liveness(asks.folder, threads=threads, public_key=key)
        return loaded, ""
    except ModelError as error:
        log.error("nobody is accepted: %s", error)
        return None, "liveness_model"


def open_gallery(
    config: Config, model: FaceModel, clocks: Clocks, audit_log: Log, *, claims: bool = False
) -> GalleryWatch:
    """A watch on the gallery, which is opened once to see that it can be. Raises GalleryError.

    With `claims`, badges and PINs say who somebody claims to be: where nobody enters by face alone,
    it may then have more people than could be searched. `audit_log` remembers how far it had come,
    and records whom retention deletes. An older copy of the gallery or of that log, or a log that
    cannot be read, raises nothing: the daemon starts, reports it, and lets nobody in until an
    administrator has decided.
    """
    key = load_key(config.gallery.key_file)
    credentials = _credentials(config, audit_log)
    door = door_of(config, model)
    watch = GalleryWatch(
        config.gallery.path,
        key,
        model.model_id,
        model.template_size,
        wall=clocks.wall,
        fits=partial(rule_of(config, model, door).fits, claims=claims and only_by_claim(config)),
        prepare=comparable(model, door),
        witness=configured_witness(config.gallery, Generations(audit_log)),
        keep_expired=timedelta(days=config.gallery.keep_expired_days),
        deleting=lambda gallery, ids: deletion(
            audit_log, gallery, credentials, {"expired": True}, ids
        ),
    )
    with suppress(RestoredGalleryError, StaleLogError, AuditError):
        watch.reload()
    # It is opened anew in its keeper's thread, which owns it from then on.
    watch.close()
    return watch


def stranger_keeper(config: Config, model: FaceModel, clocks: Clocks) -> StrangerKeeper | None:
    """Who keeps strangers' templates, where the configuration asks for it; else none are left.

    A file that cannot be read is told, and tried again with each stranger: it lets nobody in and
    keeps nobody out. Raises GalleryError for a key that is not usable.
    """
    if config.calibration.keep_strangers:
        file = stranger_file(config, model, clocks.wall)
        try:
            if not len(file.read()):
                # Too old, another model's, or another key's: they would only take up the room.
                file.delete()
        except GalleryError as error:
            log.warning("no strangers are kept for a calibration: %s", error)
        return StrangerKeeper(file, clocks.monotonic_s)
    try:
        delete_strangers(config.strangers_file)
    except OSError as error:
        log.warning("%s: cannot be deleted: %s", config.strangers_file, error.strerror)
    return None


def open_sequence(config: Config, clocks: Clocks) -> SequenceFile:
    """The counter of decisions, held against any other daemon. Raises as SequenceFile does."""
    return SequenceFile(config.signing.sequence_file, lambda: int(clocks.wall().timestamp() * 1000))


def open_entrance(config: Config, model: FaceModel, scribe: Scribe, clocks: Clocks) -> Entrance:
    """Claims and failed attempts; `scribe` writes lock-outs down.

    Raises ConfigError if the file of failed attempts is damaged.
    """
    return Entrance(
        config.access,
        config.attempts_file,
        _credentials(config, scribe),
        scribe,
        clocks.monotonic_s,
        most_searched=rule_of(config, model).most_templates,
    )


def credential_watch(config: Config, audit_log: Log) -> CredentialWatch:
    """A watch on the badges and PINs. Raises GalleryError for a key that is not usable."""

    def enrolled() -> list[Person]:
        with open_configured(config.gallery, log=Generations(audit_log)) as gallery:
            return gallery.list_people()

    return CredentialWatch(_credentials(config, audit_log), enrolled)


def _credentials(config: Config, audit_log: Log) -> CredentialFile:
    key = load_key(config.gallery.key_file)
    return CredentialFile(config.credentials_file, key, Generations(audit_log, CREDENTIALS))


def build_outlet(
    config: Config,
    model: FaceModel,
    watch: GalleryWatch,
    entrance: Entrance,
    sequence: SequenceFile,
    scribe: Scribe,
    clocks: Clocks,
    challenges: Challenges | None = None,
    notice: Notice | None = None,
) -> tuple[Outlet, Sharing | None]:
    """The outlet for decisions and inlet for commands, including a screen's about `challenges`.

    And who takes over the gallery that the house shares, where the configuration asks for it.

    `notice` is where those who supervise the parts say how these are.

    Raises ConfigError for a key or password not usable.
    """
    topics = Topics(config.site.name, config.site.door)
    key = load_signing_key(config.signing.key_file)
    issuer = Issuer(
        topics,
        key,
        sequence,
        model_id=model.model_id,
        lifetime_s=config.decision.lifetime_s,
        clocks=clocks,
    )
    keys = PinnedKeys(config.keyring_file, read_keyring)
    shared = None
    if config.sharing.receive:
        shared = build_sharing(config, model, watch, scribe, keys, clocks, lambda: publisher)
    glance = Glance(clocks.monotonic_s)
    looks = EnrolLooks(config, watch, scribe, glance, clocks, entrance.pause)
    verbs = gallery_verbs(config, watch, scribe) | looks.verbs()
    verbs |= {
        "claim": Verb(frozenset({Role.KIOSK, Role.READER}), entrance.claim),
        "verify-now": Verb(frozenset({Role.KIOSK, Role.ASSISTANT}), entrance.try_again),
        "reset-lockout": Verb(frozenset({Role.ADMINISTRATOR}), entrance.reset),
    }
    lock_test = LockTest()
    verbs["test-lock"] = lock_test.verb
    verbs |= house_verbs(config, watch, notice or Notice(), f"{model.model_id} {model.variant}")
    if challenges is not None:
        verbs["challenge-shown"] = challenge_shown(challenges)
    local = None
    if config.preview.socket is not None and config.preview.screens:
        local = PreviewSocket(config.preview.socket, users_of(config.preview.socket_user))
    preview = Preview(
        *(config.preview, topics, key),
        send=lambda topic, payload: publisher.preview(topic, payload),
        clear=lambda: publisher.link.clear,
        clocks=clocks,
        local=local,
    )
    if config.preview.screens:
        verbs[PREVIEW] = preview.verb
    memory = NonceFile(config.nonce_file)
    authority = Authority(topics, keys.current, verbs, memory, clocks, scribe.latest_command)

    def command(key_id: str, verb: str, code: str, times: int) -> None:
        scribe.command(key_id, verb, code, times, authority.latest)

    publisher = Publisher(
        config.mqtt,
        topics,
        model_id=model.model_id,
        model_variant=model.variant,
        clocks=clocks,
        on_command=lambda arrival: desk.arrived(arrival),
        claims=Policy.of(config.access, config.site.timezone).claims,
        home_assistant=home_assistant(config, topics),
        ear=shared,
    )
    scribe.begin()

    def answer(topic: str, correlation: bytes | None, reply: Reply) -> bool:
        return publisher.reply(topic, correlation, sign(reply, key))

    desk = CommandDesk(topics, verbs, authority, answer, clocks, command)
    parts = issuer, publisher, desk, scribe, preview, clocks
    ways = glance.offer, looks.work, lock_test, lambda: keys.lost
    return Outlet(*parts, *ways), shared


def build_sharing(
    config: Config,
    model: FaceModel,
    watch: GalleryWatch,
    scribe: Scribe,
    keys: PinnedKeys,
    clocks: Clocks,
    publisher: Callable[[], Publisher],
) -> Sharing:
    """Who takes over what the house shares. Raises ConfigError, GalleryError for unusable keys."""

    def changed() -> None:
        # The watch tells what is wrong by itself.
        with suppress(GalleryError, AuditError):
            watch.reload()

    return Sharing(
        config,
        Topics(config.site.name, config.site.door),
        load_sealing_key(config.sharing.key_file),
        load_key(config.gallery.key_file),
        _credentials(config, scribe),
        scribe,
        model_id=model.model_id,
        template_size=model.template_size,
        keys=keys.current,
        clocks=clocks,
        hear=lambda topics: publisher().link.hear(topics),
        unhear=lambda topics: publisher().link.unhear(topics),
        say=lambda state: publisher().gallery_state(state),
        changed=changed,
    )


def home_assistant(config: Config, topics: Topics) -> HomeAssistant | None:
    """How the door is announced to Home Assistant; None if it neither is nor ever was."""
    wanted = config.home_assistant
    if wanted.discovery:
        names = [camera.name for camera in config.camera]
        entities = announcements(topics, wanted.prefix, names)
        announcer = Announcer(entities, config.announced_file)
        return HomeAssistant(announcer, birth_topic(wanted.prefix), wanted.names)
    if not announced(config.announced_file):
        return None
    return HomeAssistant(Announcer({}, config.announced_file))


def build_scribe(config: Config, model: FaceModel, clocks: Clocks) -> Scribe:
    """Who writes the audit log, which is opened when something is asked of it.

    Raises ConfigError or GalleryError for a key that is not usable, or a damaged calibration.
    """
    key = load_signing_key(config.signing.key_file)
    policy = policy_hash(config, calibrated_door(config, model))
    sealer = load_key(config.gallery.key_file)
    signer = Signer.of(key)
    folder = config.audit_folder

    def open_audit() -> Audit:
        # The keyring holds the key from before a rotation, too.
        keys = [key.public_key(), *daemon_keys(config.keyring_file)]
        return Audit(folder, clocks.wall, signer=signer, keys=keys, sealer=sealer)

    return Scribe(
        open_audit,
        signer.key_id,
        {"software": __version__, "model_id": model.model_id, "policy": policy},
        clocks,
        keep_days=config.audit.keep_days,
        snapshots=Snapshots(config.snapshot_folder, sealer),
        snapshot_days=config.audit.snapshot_days if config.audit.snapshots else 0,
    )


def open_audit(config: Config, clocks: Clocks) -> Audit:
    """The audit log for who signs nothing. Raises AuditError if it cannot be read or written."""
    return Audit(config.audit_folder, clocks.wall, sealer=load_key(config.gallery.key_file))


def policy_hash(config: Config, door: Door | None) -> str:
    """The SHA-256, in hex, of what determines who is let in: configuration and calibration.

    That of a configuration alone where the `door` is not calibrated.
    """
    policy = config.model_dump(mode="json", exclude=set(NO_POLICY))
    if door is not None:
        directions = door.directions.astype("<f4").tobytes()
        policy["calibrated"] = {
            "directions": hashlib.sha256(directions).hexdigest(),
            "here": asdict(door.here),
            "fitted": asdict(door.fitted),
        }
    return hashlib.sha256(rfc8785.dumps(policy)).hexdigest()
