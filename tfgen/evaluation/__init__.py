"""Evaluation: how well a model predicts data it was not trained on."""

from tfgen.evaluation.text import evaluate

__all__ = ["evaluate"]
