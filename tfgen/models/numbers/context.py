"""`SequenceContext`: what a model of numbers knows of whole sequences, and of their positions."""

import keras
import tensorflow as tf

from tfgen.arguments import constructor_config
from tfgen.layers.checks import check_of_use, check_rate
from tfgen.models.conditions import NO_CLASS
from tfgen.models.numbers.positions import Positions
from tfgen.models.parts import made_of_parts
from tfgen.networks.causal import weight_seed
from tfgen.sampling import random

CLASS_WIDTH = 32  # of the embedding of a class
_HIDDEN = -1  # no layer has this number; what the hiding of classes is drawn from


@keras.saving.register_keras_serializable(package="tfgen")
class SequenceContext(keras.layers.Layer):
    """The features of whole sequences: their class, their static numbers, their scale.

    Args:
        frame: Samples that make one position; the network then runs once for all of them. What goes
            in and comes out stays samples. Of a series without categories a position is a patch of
            so many times: the head tells the joint distribution of all their numbers, given the
            patches before it and what is known of each of their times, and values that are missing
            are left out. Data that are one number over time, such as sound, are read and told as
            their discrete cosine transform, whose coefficients depend on each other less than
            samples do; what is left of a last frame counts as silence, and a frame with a missing
            sample as missing.
        condition_dropout: Share of the sequences whose class is hidden in training, so that the
            model can also draw without one.
        processor: A fitted `tfgen.preprocessing.SequenceProcessor`; None is one unscaled number.
        latents: Numbers of a latent vector of the whole sequence; 0 is none.
        seed: Integer that the initial weights are sampled from.
        **kwargs: `name`, `dtype` and the like.

    Raises:
        ValueError: For an argument out of its range, or one that does not fit the data.
    """

    def __init__(self, frame=1, condition_dropout=0.1, processor=None, latents=0, seed=0, **kwargs):
        super().__init__(**kwargs)
        check_rate(condition_dropout=condition_dropout)
        self.positions = Positions(processor, frame, latents)
        self.processor = processor = self.positions.processor
        check_of_use(
            bool(processor.num_classes), "data with classes", 0.1,
            condition_dropout=condition_dropout,
        )  # fmt: skip
        self.class_embedding = None
        if processor.num_classes:
            self.class_embedding = keras.layers.Embedding(
                processor.num_classes,
                min(processor.num_classes, CLASS_WIDTH),
                embeddings_initializer=keras.initializers.RandomNormal(
                    stddev=1.0, seed=weight_seed(seed, 42)
                ),
                dtype=self.dtype_policy,
                name="class_embedding",
            )
            self.class_embedding.build((None,))
        self.condition_dropout = condition_dropout
        self.latents = latents
        self.seed = seed
        self.built = True

    @property
    def width(self):
        """Features of a whole sequence."""
        processor = self.processor
        width = processor.static_width + self.latents
        if self.class_embedding is not None:
            width += self.class_embedding.output_dim
        return width + (processor.num_numbers if processor.scaler.needs_scale else 0)

    def call(self, given, batch, key=None):
        """The features of whole sequences, and their scale.

        Args:
            given: Dict with any of `label` int32 `(batch,)`, -1 for none; `static`
                `(batch, static)`; `scale` `(batch, numbers)`; `latents` `(batch, latents)`, without
                which the features are those besides.
            batch: Number of sequences.
            key: int32 `(2,)`, what the hiding of classes is drawn from; None hides none.

        Returns:
            `(features (batch, width), scale (batch, numbers) or None)`.
        """
        processor = self.processor
        parts, scale = [tf.zeros([batch, 0])], None
        if self.class_embedding is not None:
            label = given["label"] if "label" in given else tf.fill([batch], NO_CLASS)
            shown = tf.cast(label >= 0, tf.float32)
            if key is not None and self.condition_dropout:
                keep = random.bernoulli_mask(
                    random.fold(key, _HIDDEN), [batch], 1 - self.condition_dropout
                )
                shown *= tf.cast(keep > 0, tf.float32)
            vectors = tf.cast(self.class_embedding(tf.maximum(label, 0)), tf.float32)
            parts.append(vectors * shown[:, None])
        if processor.static_width:
            parts.append(processor.statics(given["static"]))
        if processor.scaler.needs_scale:
            if "scale" in given:
                scale = given["scale"]
            else:
                scale = tf.broadcast_to(
                    tf.constant(processor.scale, tf.float32), [batch, processor.num_numbers]
                )
            parts.append(tf.math.log(tf.maximum(scale, 1e-6)))
        if "latents" in given:
            parts.append(given["latents"])
        return tf.concat(parts, axis=-1), scale

    def of_rows(self, rows, given):
        """The same for so many rows, of a `condition`, `static` and `scale` of each or of all."""
        given = dict(given)
        if "condition" in given:
            given["label"] = given["condition"]
        for name in ("label", "static", "scale", "latents"):
            if name in given:
                shape = tf.concat([[rows], tf.shape(given[name])[1:]], axis=0)
                given[name] = tf.broadcast_to(given[name], shape)
        whole, scale = self.call(given, rows)
        return whole, tf.zeros([rows, 0]) if scale is None else scale

    def get_config(self):
        others = {"frame": self.positions.frame}
        return {**super().get_config(), **constructor_config(self, **others)}

    from_config = made_of_parts
