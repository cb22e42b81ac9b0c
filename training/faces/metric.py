"""The model that each loss trains, built around one encoder and one head."""

from __future__ import annotations

from typing import Any

import keras

from oneglance.training.engine.pairs import all_pairs_model
from oneglance.training.networks.face_networks import siamese
from oneglance.training.networks.heads import Distance, Head


@keras.saving.register_keras_serializable(package="oneglance")
class ClassDirections(keras.layers.Layer):
    """Cosines (n, classes) of templates (n, d) of length 1 with one learned direction per class.

    The directions are weights of the training model, so a checkpoint holds them; the finished
    pair does without.
    """

    def __init__(self, classes: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.classes = classes

    def build(self, input_shape: Any) -> None:
        """Random directions."""
        self.directions = self.add_weight(
            name="directions",
            shape=(self.classes, input_shape[-1]),
            initializer=keras.initializers.RandomNormal(0.0, 0.01),
        )

    def call(self, inputs: Any) -> Any:
        """Compare with each class."""
        directions = keras.ops.normalize(self.directions, axis=-1)
        return keras.ops.matmul(inputs, keras.ops.transpose(directions))

    def compute_output_shape(self, input_shape: Any) -> Any:
        """One cosine per class."""
        return (input_shape[0], self.classes)

    def get_config(self) -> dict[str, Any]:
        """All that is needed to make this layer again."""
        return {**super().get_config(), "classes": self.classes}


def pair_distances(encoder: keras.Model, head: Head) -> keras.Model:
    """Chips a and b (n, h, w, 3) to the head's distances (n,)."""
    a = keras.layers.Input(encoder.input_shape[1:], name="a")
    b = keras.layers.Input(encoder.input_shape[1:], name="b")
    apart = Distance(head, name="apart")([encoder(a), encoder(b)])
    return keras.Model([a, b], apart, name="pair_distances")


def all_distances(encoder: keras.Model, head: Head) -> keras.Model:
    """Chips (n, h, w, 3) to the head's distances (n, n) of each with each other."""
    chips = keras.layers.Input(encoder.input_shape[1:], name="chips")
    return all_pairs_model(chips, encoder(chips), Distance(head, name="apart"))


def class_cosines(encoder: keras.Model, classes: int) -> keras.Model:
    """Chips (n, h, w, 3) to cosines (n, classes) with the directions of the classes."""
    chips = keras.layers.Input(encoder.input_shape[1:], name="chips")
    directions = ClassDirections(classes, name="classes")
    return keras.Model(chips, directions(encoder(chips)), name="class_cosines")


def student(encoder: keras.Model, head: Head) -> keras.Model:
    """Chips (n, h, w, 3) to (n, d + n): templates, followed by the head's distances negated."""
    chips = keras.layers.Input(encoder.input_shape[1:], name="chips")
    templates = encoder(chips)
    apart = all_pairs_model(chips, templates, Distance(head, name="apart")).outputs[0]
    return keras.Model(chips, Beside(name="beside")([templates, apart]), name="student")


@keras.saving.register_keras_serializable(package="oneglance")
class Beside(keras.layers.Layer):
    """Templates (n, d) and distances (n, n) as one tensor (n, d + n), distances negated."""

    def call(self, inputs: Any) -> Any:
        """Put together."""
        templates, distances = inputs
        return keras.ops.concatenate([templates, -distances], axis=1)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The number of columns depends on the batch."""
        return (input_shape[0][0], None)


def finished_pair(model: keras.Model, head: Head) -> keras.Model:
    """The Siamese pair of a trained model's encoder and its head, or `head` if it has none."""
    names = {layer.name for layer in model.layers}
    if "apart" in names:
        head = model.get_layer("apart").head
    elif "head" in names:
        head = model.get_layer("head")
    return siamese(model.get_layer("encoder"), head)
