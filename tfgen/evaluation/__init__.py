"""Evaluation: how well a model predicts unseen data, and how real its samples are."""

from tfgen.evaluation.backtesting import Backtest, backtest
from tfgen.evaluation.calibrated import calibrate
from tfgen.evaluation.sequences import evaluate_sequences
from tfgen.evaluation.text import evaluate

__all__ = ["Backtest", "backtest", "calibrate", "evaluate", "evaluate_sequences"]
