"""Measure ways to find faces in video frames: what each finds, what it gets wrong, what it costs.

python benchmarks/detection.py --images DATA/lfw_folds1-8.zip \
    --people DATA/lfw_people_folds1-8.csv --judge DATA/onet.tflite \
    [--norms DATA/MobileFaceNet.tflite] [--pictures N] [--seed N]

Frames of 640x480 are made of photographs of folds 1-6, so that nothing is chosen on the folds that
are reported: one photograph, its face of a given width, in front of another one that is enlarged
and upside down, so that the clutter is natural and the face in it is not one to find. Camera noise
is added over everything. Three tables on stdout: searches, judges of what they found, and
following. CPU times of one thread.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from oneglance.daemon.sight.follow import follow, sightings
from oneglance.daemon.sight.motion import SceneMemory, tiny_grey
from oneglance.daemon.sight.search import door_detector, find_near
from oneglance.faces.find.align import MAX_DOUBT, box_around, chip_from_points
from oneglance.faces.find.boxes import Box
from oneglance.faces.find.detect import FaceDetector
from oneglance.faces.model.face_model import FaceModel, load_model
from oneglance.faces.model.litert import interpreter_class
from oneglance.faces.pictures import Pictures
from oneglance.faces.reader import load_image, read_central_face
from oneglance.training.faces.landmark_teacher import LandmarkTeacher

Image = NDArray[np.uint8]

WIDTH, HEIGHT = 640, 480
FACE_PX = (60, 100, 180)
NOISE = 3.0
FOLDS = ("1", "2", "3", "4", "5", "6")
# The smallest face that the door searches for: 0.6 of the smallest usable one.
SMALLEST_PX = 48
# Below the first probability O-Net sees no face; from the second on it does.
NO_FACE, FACE = 0.2, 0.9
MOVES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6)


@dataclass(frozen=True, slots=True)
class Setting:
    """One way to search a frame. `shrunk`: until the smallest face is what a cascade needs."""

    cascade: str
    factor: float
    neighbours: int
    shrunk: bool

    @property
    def detector(self) -> FaceDetector:
        """Its cascade."""
        name = f"haarcascade_frontalface_{self.cascade}.xml"
        return FaceDetector(name, scale_factor=self.factor, min_neighbours=self.neighbours)

    def find(self, detector: FaceDetector, frame: Image) -> list[Box]:
        """The boxes in px of the frame."""
        scale = 24 / SMALLEST_PX if self.shrunk else 1.0
        if self.shrunk:
            size = round(WIDTH * scale), round(HEIGHT * scale)
            frame = np.asarray(cv2.resize(frame, size, interpolation=cv2.INTER_AREA), np.uint8)
        found = detector.find(frame, min_face_px=round(SMALLEST_PX * scale))
        return [Box(b.x / scale, b.y / scale, b.width / scale, b.height / scale) for b in found]


SETTINGS = (
    Setting("default", 1.1, 5, shrunk=False),
    Setting("default", 1.1, 3, shrunk=True),
    Setting("default", 1.2, 1, shrunk=True),
    Setting("alt", 1.2, 1, shrunk=True),
    Setting("alt2", 1.2, 3, shrunk=False),
    Setting("alt2", 1.2, 1, shrunk=False),
    Setting("alt2", 1.1, 1, shrunk=True),
    Setting("alt2", 1.2, 3, shrunk=True),
    Setting("alt2", 1.2, 1, shrunk=True),
    Setting("alt2", 1.3, 1, shrunk=True),
    Setting("alt2", 1.4, 1, shrunk=True),
)


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """A frame, and the one upright face in it."""

    frame: Image
    face: Box


def scenes(
    pictures: Pictures, names: Sequence[str], model: FaceModel, judge: LandmarkTeacher, seed: int
) -> list[Scene]:
    """One scene for each name and each of FACE_PX; pictures without a certain face are left out."""
    rng, stills = np.random.default_rng(seed), FaceDetector()
    made = []
    for name, behind in zip(names, [*names[1:], names[0]], strict=True):
        picture = load_image(pictures.read(name))
        sample = read_central_face(picture, stills, model)
        if sample is None or judge.label(picture, sample.box, rng)[1] < FACE:
            continue
        clutter = cv2.resize(load_image(pictures.read(behind)), (WIDTH, HEIGHT))[::-1, ::-1]
        for face_px in FACE_PX:
            scale = face_px / sample.box.width
            height, width = (round(scale * side) for side in picture.shape[:2])
            way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
            person = cv2.resize(picture, (width, height), interpolation=way)
            left, top = (
                int(rng.integers(-80, 81)) + (m - s) // 2 for m, s in ((640, width), (480, height))
            )
            frame = clutter.astype(np.float32)
            x0, y0 = max(0, left), max(0, top)
            x1, y1 = min(WIDTH, left + width), min(HEIGHT, top + height)
            frame[y0:y1, x0:x1] = person[y0 - top : y1 - top, x0 - left : x1 - left]
            frame += rng.normal(0, NOISE, frame.shape).astype(np.float32)
            b = sample.box
            box = Box(left + scale * b.x, top + scale * b.y, scale * b.width, scale * b.height)
            made.append(Scene(np.clip(frame, 0, 255).astype(np.uint8), box))
    return made


def no_face(scene: Scene, box: Box, judge: LandmarkTeacher, rng: np.random.Generator) -> bool:
    """Whether a box is on nobody: the photograph may show more people than the one it is of."""
    return box.iou(scene.face) <= 0.1 and judge.label(scene.frame, box, rng)[1] < NO_FACE


def searched(
    made: Sequence[Scene], model: FaceModel, judge: LandmarkTeacher, seed: int
) -> list[list[str]]:
    """Each setting's recall by size, its false boxes per hundred frames, and its cost."""
    rng = np.random.default_rng(seed)
    rows = []
    for setting in SETTINGS:
        detector = setting.detector
        found = {face_px: [0, 0] for face_px in FACE_PX}
        false = kept = 0
        spent_s = 0.0
        for scene in made:
            start_s = time.thread_time()
            boxes = setting.find(detector, scene.frame)
            spent_s += time.thread_time() - start_s
            mine = [box for box in boxes if box.iou(scene.face) > 0.4]
            others = [box for box in boxes if no_face(scene, box, judge, rng)]
            hit = any(sighting is not None for sighting in sightings(model, scene.frame, mine))
            count = found[min(FACE_PX, key=lambda px: abs(px - scene.face.width))]
            count[0] += hit
            count[1] += 1
            false += len(others)
            kept += sum(s is not None for s in sightings(model, scene.frame, others))
        rows.append(
            [
                setting.cascade,
                f"{setting.factor}",
                f"{setting.neighbours}",
                "yes" if setting.shrunk else "no",
                *(f"{100 * hits / of:.1f} %" for hits, of in found.values()),
                f"{100 * false / len(made):.1f}",
                f"{100 * kept / len(made):.1f}",
                f"{1e3 * spent_s / len(made):.1f}",
            ]
        )
    return rows


def judged(
    made: Sequence[Scene], model: FaceModel, judge: LandmarkTeacher, norms: Path | None, seed: int
) -> list[list[str]]:
    """Which judge tells faces from the mistakes of a lenient search, and at what cost."""
    rng, credulous = np.random.default_rng(seed), Setting("alt2", 1.1, 1, shrunk=True)
    detector = credulous.detector
    faces, rest = [], []
    for scene in made:
        for box in credulous.find(detector, scene.frame):
            if box.iou(scene.face) > 0.4:
                faces.append((scene.frame, box))
            elif no_face(scene, box, judge, rng):
                rest.append((scene.frame, box))
    second = FaceDetector("haarcascade_frontalface_default.xml", scale_factor=1.2, min_neighbours=1)
    strict = FaceDetector("haarcascade_frontalface_default.xml", scale_factor=1.1, min_neighbours=3)

    def doubt(frame: Image, box: Box) -> float:
        return float(model.locate(frame, [box]).doubts[0])

    def agrees(other: FaceDetector) -> Callable[[Image, Box], float]:
        def judge(frame: Image, box: Box) -> float:
            near = find_near(other, frame, box, 0.0)
            return 0.0 if any(one.iou(box) > 0.4 for one in near) else 1.0

        return judge

    rows = []

    def row(title: str, suspicion: Callable[[Image, Box], float], limits: Sequence[float]) -> None:
        start_s = time.thread_time()
        good = np.array([suspicion(*one) for one in faces])
        bad = np.array([suspicion(*one) for one in rest])
        ms = 1e3 * (time.thread_time() - start_s) / (len(faces) + len(rest))
        for limit in limits or [float(np.quantile(good, 1 - lost_by_doubt))]:
            name = title if len(limits) == 1 and limits[0] == 0 else f"{title} {limit:.3g}"
            lost, passed = float((good > limit).mean()), float((bad <= limit).mean())
            rows.append([name, f"{100 * lost:.2f} %", f"{100 * passed:.1f} %", f"{ms:.2f}"])

    lost_by_doubt = float(np.mean([doubt(*one) > MAX_DOUBT for one in faces]))
    row("aligner's doubt at most", doubt, [0.06, MAX_DOUBT, 0.15])
    row("a second cascade, 1 neighbour", agrees(second), [0.0])
    row("a second cascade, 3 neighbours", agrees(strict), [0.0])
    if norms is not None:
        length = template_length(norms, model)
        row("minus the template's length at most", lambda f, b: -length(f, b), [])
    rows.append([f"({len(faces)} faces, {len(rest)} other boxes)", "", "", ""])
    return rows


def template_length(file: Path, model: FaceModel) -> Callable[[Image, Box], float]:
    """The length of the pretrained MobileFaceNet's template; ours always have length 1."""
    net = interpreter_class()(model_path=str(file), num_threads=1)
    net.allocate_tensors()
    entry = net.get_input_details()[0]["index"]
    way_out = net.get_output_details()[0]["index"]

    def length(frame: Image, box: Box) -> float:
        chip = chip_from_points(frame, model.points(frame, [box])[0])
        net.set_tensor(entry, np.stack([(chip.astype(np.float32) - 127.5) / 128] * 2))
        net.invoke()
        return float(np.linalg.norm(net.get_tensor(way_out)[0]))

    return length


def followed(made: Sequence[Scene], model: FaceModel, seed: int) -> list[list[str]]:
    """How far a face may move between two frames and still be followed, by its size."""
    rng = np.random.default_rng(seed)
    rows = []
    for move in MOVES:
        counts = {face_px: [0, 0] for face_px in FACE_PX}
        for scene in made:
            located = model.locate(scene.frame, [scene.face])
            if located.doubts[0] > MAX_DOUBT:
                continue
            points, angle = located.points[0], rng.uniform(0, 2 * np.pi)
            side = box_around(points).width
            away = points + move * side * np.array([np.cos(angle), np.sin(angle)])
            (sighting,) = follow(model, scene.frame, [away])
            count = counts[min(FACE_PX, key=lambda px: abs(px - scene.face.width))]
            count[0] += sighting is not None and sighting.box.iou(box_around(points)) > 0.8
            count[1] += 1
        rows.append([f"{move:.1f}", *(f"{100 * hit / of:.1f} %" for hit, of in counts.values())])
    return rows


def costs(made: Sequence[Scene], model: FaceModel) -> list[list[str]]:
    """What each step at the door costs in CPU ms, the least of many rounds."""
    scene = next(s for s in made if abs(s.face.width - 100) < 30)
    points = model.points(scene.frame, [scene.face])
    chip = chip_from_points(scene.frame, points[0])[np.newaxis]
    memory, detector = SceneMemory(), door_detector()
    grey = np.asarray(cv2.cvtColor(scene.frame, cv2.COLOR_BGR2GRAY), np.uint8)
    memory.remember(tiny_grey(grey))

    def gate() -> None:
        now = np.asarray(cv2.cvtColor(scene.frame, cv2.COLOR_BGR2GRAY), np.uint8)
        memory.changed(tiny_grey(now))

    steps: dict[str, Callable[[], object]] = {
        "has anything changed?": gate,
        "follow one face": lambda: follow(model, scene.frame, points),
        "look round a lost face": lambda: find_near(detector, scene.frame, scene.face, 0.0),
        "cut one chip": lambda: chip_from_points(scene.frame, points[0]),
        "encode one chip": lambda: model.encode(chip),
    }
    rows = []
    for title, step in steps.items():
        rounds = []
        for _ in range(100):
            start_s = time.thread_time()
            step()
            rounds.append(time.thread_time() - start_s)
        rows.append([title, f"{1e3 * min(rounds):.2f}"])
    return rows


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The rows in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=Path, required=True, help="Labeled Faces in the Wild")
    parser.add_argument("--people", type=Path, required=True, help="person,fold,images")
    parser.add_argument("--judge", type=Path, required=True, help="MTCNN's O-Net, .tflite")
    parser.add_argument("--norms", type=Path, help="MobileFaceNet.tflite, to judge by lengths")
    parser.add_argument("--pictures", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    cv2.setNumThreads(1)
    model, judge, pictures = load_model(), LandmarkTeacher(chosen.judge), Pictures(chosen.images)
    rows = [line.split(",") for line in chosen.people.read_text("utf-8").splitlines()[1:]]
    people = {row[0] for row in rows if row[1] in FOLDS}
    names = [name for name in pictures.names if name.split("/")[-2] in people]
    picked = np.random.default_rng(chosen.seed).choice(len(names), chosen.pictures, replace=False)
    made = scenes(pictures, [names[i] for i in picked], model, judge, chosen.seed)
    print(f"{len(made)} frames of {len(made) // len(FACE_PX)} photographs\n")
    sizes = [f"{face_px} px found" for face_px in FACE_PX]
    head = ["cascade", "factor", "neighbours", "shrunk", *sizes]
    print(
        table(
            [*head, "false boxes in 100 frames", "past the aligner", "ms"],
            searched(made, model, judge, chosen.seed),
        )
    )
    judges = judged(made, model, judge, chosen.norms, chosen.seed)
    print(table(["judge", "faces lost", "others passed", "ms a box"], judges))
    moves = [f"{face_px} px followed" for face_px in FACE_PX]
    print(table(["moved by (sides)", *moves], followed(made, model, chosen.seed)))
    print(table(["step", "ms"], costs(made, model)))


if __name__ == "__main__":
    main()
