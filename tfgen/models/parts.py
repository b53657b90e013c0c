"""Objects of Keras that are made of others: their configs hold those of their parts."""

import keras


@classmethod
def made_of_parts(cls, config):
    """`from_config` of a class whose config holds the configs of its parts."""
    return cls(**{
        name: keras.saving.deserialize_keras_object(value)
        if isinstance(value, dict) and "class_name" in value
        else value
        for name, value in config.items()
    })  # fmt: skip
