from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from oneglance.daemon.sight.motion import SceneMemory, region_of, tiny_grey
from oneglance.faces.find.boxes import Box

CELL_PX = 8


def hall(light: float = 1.0, noise: float = 3.0, seed: int = 0) -> NDArray[np.uint8]:
    """A camera's grey picture of a wall with a lighter door, 640x480."""
    picture = np.full((480, 640), 110.0)
    picture[60:400, 430:590] = 160.0
    picture *= np.linspace(1.0, 0.7, 480)[:, None] * light
    picture += np.random.default_rng(seed).normal(0.0, noise, picture.shape)
    return np.clip(picture, 0, 255).astype(np.uint8)


def remembering(picture: NDArray[np.uint8]) -> SceneMemory:
    memory = SceneMemory()
    memory.remember(tiny_grey(picture))
    return memory


@pytest.mark.parametrize("noise", [0.0, 3.0, 15.0])
def test_camera_noise_is_no_change(noise: float) -> None:
    memory = remembering(hall(noise=noise))
    for seed in range(1, 30):
        assert not memory.changed(tiny_grey(hall(noise=noise, seed=seed))).any()


@pytest.mark.parametrize("light", [0.9, 1.1])
def test_light_that_changes_everywhere_is_no_change(light: float) -> None:
    memory = remembering(hall())
    assert not memory.changed(tiny_grey(hall(light=light, seed=1))).any()


@pytest.mark.parametrize("face_px", [48, 80, 200])
@pytest.mark.parametrize("contrast", [-40, 15, 40])
def test_a_face_that_appears_is_a_change_where_it_is(face_px: int, contrast: int) -> None:
    memory = remembering(hall())
    left, top = 100, 120
    picture = hall(seed=1).astype(int)
    picture[top : top + face_px, left : left + face_px] += contrast
    cells = memory.changed(tiny_grey(np.clip(picture, 0, 255).astype(np.uint8)))
    region = region_of(cells, 1.0)
    assert region is not None
    face = Box(left / CELL_PX, top / CELL_PX, face_px / CELL_PX, face_px / CELL_PX)
    assert region.iou(face) > 0.4


def test_a_face_that_appears_while_the_light_changes_is_a_change() -> None:
    memory = remembering(hall())
    picture = hall(light=1.1, seed=1).astype(int)
    picture[120:200, 100:180] -= 15
    cells = memory.changed(tiny_grey(picture.astype(np.uint8)))
    assert cells[16:24, 13:22].mean() > 0.8
    assert cells.sum() < 120


def test_what_was_searched_is_a_change_no_more_but_what_lies_beside_it_is() -> None:
    memory = remembering(hall())
    picture = hall(seed=1)
    picture[100:200, 50:150] = 30
    picture[300:400, 250:350] = 30
    tiny = tiny_grey(picture)
    both = memory.changed(tiny)
    memory.remember(tiny, Box(0, 0, 25, 30))
    rest = memory.changed(tiny)
    assert both[12:25, 6:19].any()
    assert not rest[:30, :25].any()
    assert rest[37:50, 31:44].any()


def test_before_anything_was_searched_and_at_another_size_all_has_changed() -> None:
    memory = SceneMemory()
    assert memory.changed(tiny_grey(hall())).all()
    memory.remember(tiny_grey(hall()))
    other = tiny_grey(np.full((360, 640), 110, np.uint8))
    assert memory.changed(other).all()


def test_when_the_light_is_switched_on_or_the_scene_is_another_all_has_changed() -> None:
    assert remembering(hall(light=0.3)).changed(tiny_grey(hall(seed=1))).all()
    scene = np.random.default_rng(3).integers(0, 256, (60, 80)).astype(np.uint8)
    memory = SceneMemory()
    memory.remember(scene)
    assert memory.changed(scene[::-1]).mean() > 0.6


@given(st.tuples(st.integers(1, 2000), st.integers(1, 2000)))
def test_the_tiny_picture_has_at_most_80_cells_a_side(size: tuple[int, int]) -> None:
    tiny = tiny_grey(np.zeros(size, np.uint8))
    assert max(tiny.shape) == 80
    assert min(tiny.shape) >= 1


@given(arrays.arrays(np.bool_, arrays.array_shapes(min_dims=2, max_dims=2)), st.floats(0, 3))
def test_the_region_holds_all_that_changed_and_stays_in_the_picture(
    cells: NDArray[np.bool_], margin: float
) -> None:
    region = region_of(cells, margin)
    assert (region is None) == (not cells.any())
    if region is not None:
        rows, columns = np.nonzero(cells)
        assert region.x <= columns.min()
        assert columns.max() + 1 <= region.x + region.width
        assert region.y <= rows.min()
        assert rows.max() + 1 <= region.y + region.height
        assert region.x >= 0
        assert region.x + region.width <= cells.shape[1]
        assert region.y >= 0
        assert region.y + region.height <= cells.shape[0]
