"""`Refits`: models that are trained again in the course of a backtest, on what came before."""

import numpy as np

from tfgen.models.numbers.over_data import forecast_cuts


class Refits:
    """When models are trained again, and what they forecast then.

    Origins are in the order of how far they are from where their series began to be held out. With
    the first of each group of so many, models are trained on all series up to it.

    Args:
        refit: Function `(model, sequences)` that gives a model trained on them.
        every: Origins of a group, those of several series at one distance counted once.
        cuts: `Cuts` of all origins.
        past: Positions of each before its origin.
        edges: Of each series the first position that was held out.
        say: Called with a line before each training.
    """

    def __init__(self, refit, every, cuts, past, edges, say):
        self.refit, self.edges, self.say = refit, edges, say
        distances = cuts.places[:, 1] + past - np.array(edges)[cuts.places[:, 0]]
        found = np.unique(distances)
        groups = [found[first : first + every] for first in range(0, len(found), every)]
        # Of each group the numbers of its cuts, and the least distance.
        self.groups = [(np.flatnonzero(np.isin(distances, each)), each[0]) for each in groups]
        self._models = {}

    def forecast(self, name, model, sequences, cuts, *arguments, **options):
        """As `forecast_cuts`, of the model of that name as it is trained for each group."""
        if name not in self._models:
            self._models[name] = [
                self._trained(name, model, sequences, number) for number in range(len(self.groups))
            ]
        parts = [
            forecast_cuts(trained, cuts.take(chosen), *arguments, **options)
            for trained, (chosen, _) in zip(self._models[name], self.groups, strict=True)
        ]
        order = np.argsort(np.concatenate([chosen for chosen, _ in self.groups]))
        return np.concatenate(parts)[order]

    def _trained(self, name, model, sequences, number):
        _, distance = self.groups[number]
        stops = [
            min(len(values), edge + int(distance))
            for values, edge in zip(sequences.values, self.edges, strict=True)
        ]
        self.say(f"{name}: training {number + 1} of {len(self.groups)}")
        return self.refit(model, sequences.cut([(0, stop) for stop in stops]))
