"""Training crops of the aligner: the points stay on the face, whatever is done to the crop."""

from __future__ import annotations

import numpy as np

from oneglance.faces.find import align
from oneglance.training.faces.crops import PATCH_SIZE, Patches, cut_patches, sample
from oneglance.training.faces.drawn_faces import draw_face, draw_person
from oneglance.training.faces.face_sources import drawn_faces


def dotted_patch() -> Patches:
    """A patch that is black but for a white dot on each of the five points."""
    points = (align.MEAN_POINTS - 0.5) / 2.2 + 0.5
    rows, columns = np.mgrid[0:PATCH_SIZE, 0:PATCH_SIZE] + 0.5
    pixels = np.zeros((PATCH_SIZE, PATCH_SIZE))
    for x, y in points * PATCH_SIZE:
        pixels += 250 * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 8)
    side = 1 / 2.2 / align.CROP_SCALE
    return Patches(
        np.minimum(pixels, 255).astype(np.uint8)[None],
        points[None].astype(np.float32),
        np.array([[[0.5, 0.5, side], [np.nan] * 3]], np.float32),
    )


def test_the_points_of_a_sample_lie_on_the_dots_of_its_crop() -> None:
    patches = dotted_patch()
    bright = total = 0
    for seed in range(60):
        crop, points = sample(patches, 0, np.random.default_rng(seed))
        assert crop.shape == (64, 64, 1)
        places = (points * 64 - 0.5).round().astype(int)
        inside = ((places >= 0) & (places < 64)).all(1)
        levels = crop[places[inside, 1], places[inside, 0], 0].astype(float)
        bright += int((levels > crop.mean() + 1.0 * crop.std()).sum())
        total += int(inside.sum())
    # A grey square may cover a dot, and noise may drown one.
    assert total > 250
    assert bright / total > 0.85


def test_a_sample_is_the_same_for_the_same_random_state() -> None:
    patches = dotted_patch()
    first, second = (sample(patches, 0, np.random.default_rng(3)) for _ in range(2))
    assert np.array_equal(first[0], second[0])
    assert np.array_equal(first[1], second[1])


def test_patches_keep_the_points_where_they_are_in_the_picture() -> None:
    source = drawn_faces(5, range(2), 2)
    patches = cut_patches(source.image, source.table)
    for index in range(4):
        face = align.fit_similarity(align.MEAN_POINTS, source.table.points[index])
        side = float(np.hypot(face[0, 0], face[1, 0])) * 2.2
        spread = np.ptp(patches.points[index], axis=0) * side
        assert np.allclose(spread, np.ptp(source.table.points[index], axis=0), atol=0.01)
        assert (patches.points[index] > 0.2).all()
        assert (patches.points[index] < 0.8).all()


def test_a_drawn_persons_eyes_are_where_the_labels_say() -> None:
    looks = draw_person(1, 2)
    looks["colours"][1] = [0, 0, 255]
    image, points, box = draw_face(looks, np.random.default_rng(0))
    for x, y in points[:2]:
        blue, _, red = image[round(y), round(x)].astype(int)
        assert red > blue + 100
    assert box.shape == (3,)
