"""The synthetic corpus: drawn faces with known subjects, poses, intensities and exact landmarks.

The 68 landmarks (iBUG order) are exact: they are taken from the curves that are drawn. The corpus exists so
that everything runs anywhere and every test has ground truth. It says nothing about a paper.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import astuple, dataclass, fields, replace
from typing import Any

import numpy as np

from fer_lib.data.corpus import Card, Corpus
from fer_lib.data.drawing.drawing import Light, draw
from fer_lib.data.drawing.geometry import Actions, Identity, Pose, landmarks, shape
from fer_lib.data.reader import Reader
from fer_lib.errors import FerError
from fer_lib.expressions import EXPRESSIONS

CARD = Card(
    name="synthetic",
    title="Synthetic faces (drawn)",
    owner="the FER reproducibility companion (this project)",
    licence="BSD-3-Clause",
    obtain="Nothing to obtain: it is drawn when asked for.",
    tree="(no files)",
    may_show=True,
    synthetic=True,
    place=0,
    notes=(
        "Never evidence about a paper: its figures are not compared with any claim.",
        "Every subject has a style of its own in each expression, so that recognising unseen subjects is "
        "harder than recognising unseen images of known subjects.",
    ),
)

# The prototypes after the action units that Ekman and Friesen's FACS associates with each emotion.
PROTOTYPES: dict[str, Actions] = {
    "anger": Actions(brow_lower=1.0, lid_raise=0.3, lid_tighten=0.65, lip_press=0.8, nose_wrinkle=0.15),
    "disgust": Actions(
        nose_wrinkle=1.0, upper_lip_raise=0.9, brow_lower=0.5, cheek_raise=0.35, lid_tighten=0.35,
        corner_depress=0.4,
    ),
    "fear": Actions(
        brow_inner=0.9, brow_outer=0.4, brow_lower=0.6, lid_raise=0.95, lip_stretch=0.95, jaw_drop=0.28,
        corner_depress=0.15,
    ),
    "happiness": Actions(corner_pull=1.0, cheek_raise=0.8, upper_lip_raise=0.25, jaw_drop=0.18),
    "sadness": Actions(brow_inner=0.9, brow_lower=0.45, corner_depress=0.9, chin_raise=0.55, lid_droop=0.4),
    "surprise": Actions(brow_inner=0.95, brow_outer=0.95, lid_raise=0.85, jaw_drop=0.95),
    "neutral": Actions(),
    "contempt": Actions(corner_one=0.95, lid_droop=0.22, lid_tighten=0.15, chin_raise=0.15),
}  # fmt: skip


@dataclass(frozen=True)
class Subject:
    """One subject: the face, how it performs each expression at full intensity, and its session."""

    name: str
    identity: Identity
    apex: dict[str, Actions]
    pose: Pose
    light: Light


def subject(number: int, seed: int = 0) -> Subject:
    """Sample subject ``number`` (from 0); depends on ``number`` and ``seed`` only."""
    rng = _stream(seed, 0, number)
    identity = _identity(rng)
    n = len(fields(Actions))
    gains = rng.lognormal(0.0, 0.16, n)
    apex = {}
    for name in EXPRESSIONS:  # a style of one's own: some actions stronger, some weaker, a few stray ones
        own = np.array(astuple(PROTOTYPES[name])) * gains * rng.uniform(0.6, 1.25, n)
        stray = rng.uniform(0, 0.4, n) * (rng.random(n) < 0.14)
        apex[name] = Actions(*np.clip(own + stray, 0, 1).tolist())
    pose = Pose(
        roll=rng.normal(0, 1.5),
        yaw=rng.normal(0, 3.0),
        scale=rng.uniform(0.98, 1.05),
        shift_x=rng.uniform(-0.02, 0.02),
        shift_y=rng.uniform(-0.115, -0.085),
    )
    light = Light(
        azimuth=rng.uniform(-50, 50),
        elevation=rng.uniform(20, 45),
        contrast=rng.uniform(0.25, 0.55),
        gain=rng.uniform(0.95, 1.12),
        backdrop=rng.uniform(0.2, 0.8),
        noise=rng.uniform(0.006, 0.018),
        blur=max(rng.uniform(-0.006, 0.006), 0.0),
    )
    return Subject(f"SYN{number + 1:02d}", identity, apex, pose, light)


def generate(
    n_subjects: int = 24,
    per_expression: int = 3,
    size: int = 48,
    seed: int = 0,
    sequences: bool = False,
    n_frames: int = 10,
) -> Corpus:
    """Draw the corpus, its rows ordered by subject, expression, repetition (and frame).

    ``per_expression`` is the number of stills of each expression per subject; with ``sequences`` each is
    ``n_frames`` rows (from 2) from neutral to apex instead. ``size`` is width and height, from 16 pixels.

    ``ids`` are ``subject/expression/repetition[/frame]``; ``meta`` has ``repetition``, ``intensity`` in
    [0, 1], ``frame``, ``roll`` and ``yaw`` in degrees, ``scale``, and ``light`` (azimuth in degrees). The
    same seed draws the same corpus; a subject's images depend on the seed and the subject's number only.
    """
    import pandas as pd

    given = {"n_subjects": n_subjects, "per_expression": per_expression, "size": size, "n_frames": n_frames}
    for (name, value), least in zip(given.items(), (1, 1, 16, 2), strict=True):
        if value < least:
            raise FerError(f"The synthetic corpus needs {name} >= {least}, not {value}.")
    frames = n_frames if sequences else 1
    rows, images, points = [], [], []
    for number in range(n_subjects):
        person = subject(number, seed)
        for code, expression in enumerate(EXPRESSIONS):
            for repetition in range(per_expression):
                rng = _stream(seed, 1, number, code, repetition, frames)
                key = {"subject": person.name, "label": code, "repetition": repetition}
                key["sequence"] = key["id"] = f"{person.name}/{expression}/{repetition}"
                for actions, pose, light, record in _performance(person, expression, frames, rng):
                    images.append(draw(person.identity, actions, pose, light, size, rng))
                    points.append(pose.place(landmarks(shape(person.identity, actions)), size))
                    rows.append(key | record)
                    if sequences:
                        rows[-1]["id"] += f"/{record['frame']:02d}"
    table = pd.DataFrame(rows)
    return Corpus(
        images=np.stack(images),
        labels=table["label"].to_numpy(),
        classes=EXPRESSIONS,
        card=CARD,
        ids=table["id"].to_numpy(),
        subjects=table["subject"].to_numpy(),
        sequences=table["sequence"].to_numpy() if sequences else None,
        landmarks=np.stack(points),
        valid=np.ones(len(table), dtype=bool),
        meta=table[["repetition", "intensity", "frame", "roll", "yaw", "scale", "light"]],
    )


def _stream(*key: int) -> np.random.Generator:
    """Return a generator that depends on ``key`` only, so that no image's drawing moves another's."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(key)))


def _identity(rng: np.random.Generator) -> Identity:
    """Sample a face: lengths uniformly, hair, beard and glasses from tables that go together."""
    values: dict[str, Any] = {
        f.name: rng.uniform(*f.metadata["range"]) for f in fields(Identity) if f.metadata
    }
    soft = rng.random() < 0.5  # softer features go with longer hair and no beard, mostly
    if soft:
        styles = ("bob", "long", "fringe", "tied", "scarf", "curly")
        values["hair"] = str(rng.choice(styles, p=[0.22, 0.24, 0.18, 0.14, 0.10, 0.12]))
    else:
        values["hair"] = str(rng.choice(("short", "receding", "parted", "buzz", "curly", "bald")))
        beards = ("none", "none", "none", "stubble", "stubble", "moustache", "goatee", "full", "full")
        values["beard"] = str(rng.choice(beards))
    values["glasses"] = str(rng.choice(("none", "round", "square"), p=[0.74, 0.13, 0.13]))
    if soft:
        values["brow_thickness"] *= 0.72
        values["upper_lip"] *= 1.2
        values["jaw_width"] = 0.39 + 0.7 * (values["jaw_width"] - 0.39)
    tone = rng.choice([0.06, 0.14, 0.26, 0.45, 0.72], p=[0.24, 0.24, 0.20, 0.18, 0.14])
    fair = values["hair"] == "scarf" or values["skin"] > 0.55
    tone = float(tone if fair else min(tone, 0.26 * values["skin"]))
    close = abs(tone - values["skin"]) < 0.16  # hair that would drown in the skin
    values["hair_tone"] = 0.6 * values["skin"] if close else tone
    values["clothes"] = rng.uniform(0.1, 0.85)
    values["dominant_side"] = int(rng.integers(2))
    values["strands"] = int(rng.integers(2**31))
    return Identity(**values)


def _performance(
    person: Subject, expression: str, n_frames: int, rng: np.random.Generator
) -> Iterator[tuple[Actions, Pose, Light, dict[str, Any]]]:
    """Yield actions, pose, light and their record for a still (``n_frames`` 1) or for each frame."""
    peak = 0.0 if expression == "neutral" else 0.45 + 0.55 * rng.beta(2.2, 1.0)
    apex = np.array(astuple(person.apex[expression]))
    apex = apex * rng.uniform(0.92, 1.08, len(apex))
    idle = rng.uniform(0, 0.05, len(apex))  # nobody is ever quite still
    # This image's deviation from the subject's session.
    pose, light = person.pose, person.light
    start = Pose(
        roll=float(np.clip(pose.roll + rng.normal(0, 1.7), -9, 9)),
        yaw=float(np.clip(pose.yaw + rng.normal(0, 3.0), -14, 14)),
        scale=pose.scale * rng.uniform(0.975, 1.02),
        shift_x=pose.shift_x + rng.uniform(-0.02, 0.02),
        shift_y=pose.shift_y + rng.uniform(-0.015, 0.015),
    )
    light = replace(
        light,
        azimuth=light.azimuth + rng.normal(0, 12.0),
        gain=light.gain * rng.uniform(0.92, 1.06),
        contrast=light.contrast * rng.uniform(0.85, 1.15),
        backdrop=light.backdrop + rng.uniform(-0.05, 0.05),
    )
    drift = rng.normal(0, (1.2, 1.5, 0.006, 0.006, 0.005)) * (n_frames > 1)
    for frame in range(n_frames):
        along = frame / (n_frames - 1) if n_frames > 1 else 1.0
        intensity = peak * along * along * (3 - 2 * along)
        actions = Actions(*np.clip(idle + intensity * apex, 0, 1).tolist())
        pose = Pose(*(np.array(astuple(start)) + (along - 0.5) * drift).tolist())
        record = {"intensity": intensity, "frame": frame, "roll": pose.roll, "yaw": pose.yaw}
        yield actions, pose, light, record | {"scale": pose.scale, "light": light.azimuth}


READER = Reader(
    CARD,
    build=generate,
    options={name: given.default for name, given in inspect.signature(generate).parameters.items()},
)
