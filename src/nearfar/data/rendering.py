"""Rooms with balls and boxes in them, seen by a pinhole camera: ray casting, many images at once.

Lengths are in metres. Rays leave the camera with a component of 1 along its axis, so that how far
along a ray a surface lies is its depth: the distance from the camera's plane.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float16, Int, UInt8
from numpy import ndarray
from numpy.random import RandomState

from nearfar.data.scene_textures import SIDE, Textures

KINDS = ("floor", "ceiling", "wall", "ball", "box")
"""What a pixel may show; its place is its class."""
_FACES = 6
"""Of a room: the low and the high one along x, y (up) and z."""
_FACE_KINDS = np.array([2, 2, 0, 1, 2, 2], np.uint8)
_AT_ONCE = 16
"""Images rendered together: so many fit into a core's cache."""
_OTHER = np.array([[2, 1], [0, 2], [0, 1]])
"""Of an axis, the two along which a texture lies on what stands across it."""


@dataclass(frozen=True)
class Scenes:
    """What is seen in each of n images; single precision throughout.

    Attributes:
        camera: `(n, 3)`, where it is.
        turn: `(n, 3, 3)`, from the camera's directions (right, up, ahead) to the room's.
        spread: `(n,)`, half the width of the image at depth 1.
        room: `(n, 3, 2)`, from where to where along x, y and z.
        count: `(n,)` solids of each.
        ball: `(n, k)`, which solids are balls.
        centre: `(n, k, 3)`; half: `(n, k, 3)`, radius or half sides; angle: `(n, k)` about y.
        light: `(n, 3)`, where it is; ambient: `(n,)`, share of the light that is everywhere.
        texture: `(n, 6 + k)`, of each face of the room and each solid; size: its side; tint:
            `(n, 6 + k, 3)`.
    """

    camera: Float[ndarray, "n 3"]
    turn: Float[ndarray, "n 3 3"]
    spread: Float[ndarray, " n"]
    room: Float[ndarray, "n 3 2"]
    count: Int[ndarray, " n"]
    ball: ndarray
    centre: Float[ndarray, "n k 3"]
    half: Float[ndarray, "n k 3"]
    angle: Float[ndarray, "n k"]
    light: Float[ndarray, "n 3"]
    ambient: Float[ndarray, " n"]
    texture: Int[ndarray, "n s"]
    size: Float[ndarray, "n s"]
    tint: Float[ndarray, "n s 3"]

    def __len__(self) -> int:
        """The number of images."""
        return len(self.camera)

    def some(self, rows: slice) -> "Scenes":
        """Those of some images."""
        return Scenes(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))


def draw_scenes(count: int, textures: int, *, most_solids: int, seed: int) -> Scenes:
    """Scenes drawn at random; all solids stand on the floor, before the camera.

    Args:
        count: Number of images.
        textures: How many textures there are.
        most_solids: In an image; there is one at least.
        seed: Of everything that is drawn.
    """
    random = RandomState(seed)  # whose stream NumPy keeps as it is; Generator's may change

    def between(low: float, high: float, *shape: int) -> ndarray:
        return random.uniform(low, high, (count, *shape)).astype(np.float32)

    solids, surfaces = most_solids, _FACES + most_solids
    deep, high = between(3.0, 8.0), between(2.2, 3.5)
    left, right = between(1.5, 4.0), between(1.5, 4.0)
    zero = np.zeros_like(deep)
    room = np.stack(
        [np.stack([-left, right], 1), np.stack([zero, high], 1), np.stack([zero - 1, deep], 1)], 1
    )
    camera = np.stack([zero, between(0.8, 1.8), zero], 1)
    yaw, pitch = between(-0.4, 0.4), between(-0.35, -0.05)
    spread = np.tan(between(25.0, 37.0) * np.float32(np.pi / 180))
    half = between(0.15, 0.5, solids, 3)
    ball = random.random_sample((count, solids)) < 0.5
    half = np.where(ball[..., None], half[..., :1], half)
    ahead = np.float32(1.3) + between(0.0, 1.0, solids) * (deep[:, None] - np.float32(1.9))
    aside = ahead * spread[:, None] * between(-0.95, 0.95, solids)
    # Turned with the camera, so that they stand before it, and kept inside the room.
    cos, sin = np.cos(yaw)[:, None], np.sin(yaw)[:, None]
    reach = half.max(axis=2) * np.float32(1.5)
    x = np.clip(cos * aside + sin * ahead, room[:, 0, :1] + reach, room[:, 0, 1:] - reach)
    z = np.clip(cos * ahead - sin * aside, 1.0, deep[:, None] - reach)
    share = between(0.1, 0.9, 3)
    share[:, 1] = between(0.7, 0.95)
    return Scenes(
        camera=camera,
        turn=_turns(yaw, pitch),
        spread=spread,
        room=room,
        count=random.randint(1, most_solids + 1, count),
        ball=ball,
        centre=np.stack([x, half[..., 1], z], axis=2),
        half=half,
        angle=between(0.0, np.pi / 2, solids),
        light=room[..., 0] + share * (room[..., 1] - room[..., 0]),
        ambient=between(0.4, 0.6),
        texture=random.randint(0, textures, (count, surfaces)),
        size=between(0.5, 1.5, surfaces),
        tint=between(0.4, 1.0, surfaces, 3),
    )


def _turns(yaw: Float[ndarray, " n"], pitch: Float[ndarray, " n"]) -> Float[ndarray, "n 3 3"]:
    """Up or down by the pitch, then to the right by the yaw."""
    one, zero = np.ones_like(yaw), np.zeros_like(yaw)
    cos, sin = np.cos(pitch), np.sin(pitch)
    tilt = np.stack([one, zero, zero, zero, cos, sin, zero, -sin, cos], 1).reshape(-1, 3, 3)
    cos, sin = np.cos(yaw), np.sin(yaw)
    swing = np.stack([cos, zero, sin, zero, one, zero, -sin, zero, cos], 1).reshape(-1, 3, 3)
    return swing @ tilt


def render(
    scenes: Scenes, textures: Textures, side: int
) -> tuple[
    UInt8[ndarray, "n 3 side side"], Float16[ndarray, "n side side"], UInt8[ndarray, "n side side"]
]:
    """Images, the depth of each pixel in metres, and its kind (`KINDS`).

    A pixel shows what lies behind its centre; there are no shadows and no reflections. Light
    falls off from a lamp by the angle (Lambert) and the distance.

    Args:
        scenes: What is seen.
        textures: Repeated over each surface.
        side: Of the images in pixels.

    Returns:
        Depths are rounded to half precision, 0.05 % of them.
    """
    count = len(scenes)
    images = np.empty((count, 3, side, side), np.uint8)
    depths = np.empty((count, side, side), np.float16)
    kinds = np.empty((count, side, side), np.uint8)
    for first in range(0, count, _AT_ONCE):
        rows = slice(first, first + _AT_ONCE)
        some = scenes.some(rows)
        view = _View(some, side)
        colours = view.colours(textures)
        images[rows] = colours.reshape(len(some), side, side, 3).transpose(0, 3, 1, 2)
        depths[rows] = view.depth.reshape(-1, side, side)
        kinds[rows] = view.kinds().reshape(-1, side, side)
    return images, depths, kinds


class _View:
    """What each ray of some images hits first: where, which surface, and how it lies there."""

    def __init__(self, scenes: Scenes, side: int) -> None:
        self.scenes = scenes
        at = ((np.arange(side, dtype=np.float32) + np.float32(0.5)) / side) * 2 - 1
        right, up = np.tile(at, side), np.repeat(-at, side)
        turn, spread = scenes.turn, scenes.spread[:, None]
        # By coordinate, each (images, rays): a column of the turn for each camera direction.
        self.ways = [
            turn[:, axis, 0, None] * (spread * right)
            + turn[:, axis, 1, None] * (spread * up)
            + turn[:, axis, 2, None]
            for axis in range(3)
        ]
        self.surface = np.empty(self.ways[0].shape, np.int64)
        self.normal = [np.zeros_like(self.ways[0]) for _ in range(3)]
        self.along = [np.empty_like(self.ways[0]) for _ in range(2)]
        self.depth = self._room()
        for solid in range(scenes.ball.shape[1]):
            there = scenes.count > solid
            self._balls(solid, np.flatnonzero(there & scenes.ball[:, solid]))
            self._boxes(solid, np.flatnonzero(there & ~scenes.ball[:, solid]))

    def _room(self) -> Float[ndarray, "n p"]:
        """Depth of the face that each ray leaves the room by; the surface is that face."""
        scenes = self.scenes
        depth = np.full_like(self.ways[0], np.inf)
        axes = np.zeros(depth.shape, np.int64)
        for axis, way in enumerate(self.ways):
            start = scenes.camera[:, axis, None]
            ahead = way >= 0
            wall = np.where(ahead, scenes.room[:, axis, 1:], scenes.room[:, axis, :1])
            with np.errstate(divide="ignore"):
                far = (wall - start) / np.where(way == 0, np.float32(1e-20), way)
            nearer = far < depth
            depth = np.where(nearer, far, depth)
            axes[nearer] = axis
            self.surface[nearer] = (2 * axis + ahead)[nearer]
        for axis, way in enumerate(self.ways):
            np.copyto(self.normal[axis], -np.sign(way), where=axes == axis)
        points = [scenes.camera[:, axis, None] + depth * way for axis, way in enumerate(self.ways)]
        for place in range(2):
            self.along[place] = np.choose(axes, [points[_OTHER[axis, place]] for axis in range(3)])
        return depth

    def _balls(self, solid: int, rows: Int[ndarray, " m"]) -> None:
        """Balls of some images, where they are nearer than all before."""
        if not len(rows):
            return
        scenes = self.scenes
        radius = scenes.half[rows, solid, 0]
        start = scenes.camera[rows] - scenes.centre[rows, solid]
        ways = [way[rows] for way in self.ways]
        square = ways[0] ** 2 + ways[1] ** 2 + ways[2] ** 2
        half = sum(way * start[:, axis, None] for axis, way in enumerate(ways))
        rest = ((start**2).sum(axis=1) - radius**2)[:, None]
        inside = half**2 - square * rest
        depth = (-half - np.sqrt(np.maximum(inside, 0))) / square
        seen = (inside > 0) & (depth > 0) & (depth < self.depth[rows])
        which, ray = np.nonzero(seen)
        row = rows[which]
        near = depth[which, ray]
        normal = [
            (start[which, axis] + near * ways[axis][which, ray]) / radius[which]
            for axis in range(3)
        ]
        round_ = np.arctan2(normal[0], normal[2]) * radius[which]
        upwards = np.arcsin(np.clip(normal[1], -1, 1)) * radius[which]
        self._put(row, ray, near, solid, normal, (round_, upwards))

    def _boxes(self, solid: int, rows: Int[ndarray, " m"]) -> None:
        """Boxes of some images, likewise: in their own directions the sides lie along the axes."""
        if not len(rows):
            return
        scenes = self.scenes
        start = scenes.camera[rows] - scenes.centre[rows, solid]
        cos, sin = np.cos(scenes.angle[rows, solid]), np.sin(scenes.angle[rows, solid])
        own = [
            cos * start[:, 0] - sin * start[:, 2],
            start[:, 1],
            sin * start[:, 0] + cos * start[:, 2],
        ]
        c, s = cos[:, None], sin[:, None]
        x, y, z = (way[rows] for way in self.ways)
        ways = [c * x - s * z, y, s * x + c * z]
        enter = np.full_like(x, -np.inf)
        leave = np.full_like(x, np.inf)
        axes = np.zeros(x.shape, np.int64)
        for axis, way in enumerate(ways):
            inverse = 1 / np.where(np.abs(way) < 1e-12, np.float32(1e-12), way)
            middle = -own[axis][:, None] * inverse
            reach = scenes.half[rows, solid, axis, None] * np.abs(inverse)
            later = middle - reach > enter
            enter = np.where(later, middle - reach, enter)
            axes[later] = axis
            leave = np.minimum(leave, middle + reach)
        seen = (enter < leave) & (enter > 0) & (enter < self.depth[rows])
        which, ray = np.nonzero(seen)
        row, near, axis = rows[which], enter[which, ray], axes[which, ray]
        of_axis = [-np.sign(way[which, ray]) * (axis == number) for number, way in enumerate(ways)]
        c, s = cos[which], sin[which]
        normal = [c * of_axis[0] + s * of_axis[2], of_axis[1], c * of_axis[2] - s * of_axis[0]]
        points = [own[each][which] + near * ways[each][which, ray] for each in range(3)]
        along = tuple(
            np.choose(axis, [points[_OTHER[each, place]] for each in range(3)])
            for place in range(2)
        )
        self._put(row, ray, near, solid, normal, along)

    def _put(
        self,
        row: ndarray,
        ray: ndarray,
        depth: ndarray,
        solid: int,
        normal: list[ndarray],
        along: tuple[ndarray, ...],
    ) -> None:
        self.depth[row, ray] = depth
        self.surface[row, ray] = _FACES + solid
        for axis in range(3):
            self.normal[axis][row, ray] = normal[axis]
        for place in range(2):
            self.along[place][row, ray] = along[place]

    def kinds(self) -> UInt8[ndarray, "n p"]:
        """The class of each pixel."""
        scenes = self.scenes
        solids = np.where(scenes.ball, KINDS.index("ball"), KINDS.index("box")).astype(np.uint8)
        faces = np.broadcast_to(_FACE_KINDS, (len(scenes), _FACES))
        return np.take_along_axis(np.concatenate([faces, solids], axis=1), self.surface, axis=1)

    def colours(self, textures: Textures) -> UInt8[ndarray, "n p 3"]:
        """Texture times tint times light."""
        scenes, surface = self.scenes, self.surface
        lit = self._light()
        size = np.take_along_axis(scenes.size, surface, axis=1)
        columns, lines = (((place / size) * SIDE).astype(np.int64) % SIDE for place in self.along)
        texture = np.take_along_axis(scenes.texture, surface, axis=1)
        texels = textures.reshape(-1, 3)[(texture * SIDE + lines) * SIDE + columns]
        row = np.arange(len(scenes))[:, None]
        shaded = texels * scenes.tint[row, surface] * lit[..., None]
        return np.minimum(shaded, 255).astype(np.uint8)

    def _light(self) -> Float[ndarray, "n p"]:
        """From ambient light and the lamp."""
        scenes = self.scenes
        towards = [
            scenes.light[:, axis, None] - scenes.camera[:, axis, None] - self.depth * way
            for axis, way in enumerate(self.ways)
        ]
        far = towards[0] ** 2 + towards[1] ** 2 + towards[2] ** 2
        facing = sum(each * normal for each, normal in zip(towards, self.normal, strict=True))
        lamp = np.maximum(facing, 0) / np.sqrt(far) / (np.float32(0.25) + far * np.float32(0.06))
        ambient = scenes.ambient[:, None]
        return ambient + (1 - ambient) * lamp
