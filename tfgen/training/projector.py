"""What TensorBoard's Projector shows: vectors, what each is called, and a small picture of each."""

import dataclasses

import numpy as np
import tensorflow as tf
from tensorboard.plugins import projector

from tfgen.files import atomic_file


@dataclasses.dataclass
class Cloud:
    """Points to look at.

    Attributes:
        name: What they are, e.g. `"tokens"`.
        vectors: Float array `(points, width)`.
        columns: Dict from what is known of each point to a list of texts, one a point.
        thumbnails: uint8 array `(points, side, side)`, or None.
    """

    name: str
    vectors: np.ndarray
    columns: dict
    thumbnails: np.ndarray | None = None


def write_clouds(folder, clouds):
    """Writes clouds, and the file in which the Projector finds them.

    Args:
        folder: `pathlib.Path` that holds a file of events.
        clouds: List of `Cloud`s.
    """
    config = projector.ProjectorConfig()
    for cloud in clouds:
        paths = {part: f"projector/{cloud.name}-{part}" for part in ("vectors.tsv", "points.tsv")}
        entry = config.embeddings.add()
        entry.tensor_name = cloud.name
        entry.tensor_path, entry.metadata_path = paths["vectors.tsv"], paths["points.tsv"]
        with atomic_file(folder / entry.tensor_path) as temporary:
            np.savetxt(temporary, cloud.vectors, fmt="%.6g", delimiter="\t")
        with atomic_file(folder / entry.metadata_path) as temporary:
            temporary.write_text(_table(cloud.columns), "utf-8", "backslashreplace")
        if cloud.thumbnails is not None:
            entry.sprite.image_path = f"projector/{cloud.name}-sprite.png"
            entry.sprite.single_image_dim.extend(cloud.thumbnails.shape[:0:-1])
            with atomic_file(folder / entry.sprite.image_path) as temporary:
                temporary.write_bytes(_sprite(cloud.thumbnails))
    projector.visualize_embeddings(str(folder), config)


def _table(columns):
    """Tab-separated rows. A single column has no header: so the Projector wants it."""
    # What would end a cell or a row is shown as Python writes it, and so is a blank: the Projector
    # leaves out a row of nothing else, and all names after it would be wrong.
    cells = {
        name: [repr(text)[1:-1] if text.strip(" ") else repr(text) for text in texts]
        for name, texts in columns.items()
    }
    rows = ["\t".join(row) for row in zip(*cells.values())]
    header = ["\t".join(cells)] if len(cells) > 1 else []
    return "\n".join([*header, *rows]) + "\n"


def _sprite(thumbnails):
    """All thumbnails in one square picture, row by row, as a PNG file."""
    count, side, _ = thumbnails.shape
    across = int(np.ceil(np.sqrt(count)))
    sheet = np.full([across * across, side, side], 255, np.uint8)
    sheet[:count] = thumbnails
    sheet = sheet.reshape(across, across, side, side).swapaxes(1, 2)
    return tf.io.encode_png(sheet.reshape(across * side, across * side, 1)).numpy()
