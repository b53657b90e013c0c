"""How whole sequences of numbers are drawn, scored, filled and encoded, from their parts.

An engine is made of a network and an emission. Its methods take tensors (a dict, as a
`tfgen.models.numbers.positions.Positions` has specs for), the `GenerationConfig` whose values stand
for what a call leaves out, and a seed; what else they take by keyword are the options of the methods
of the same names of a `tfgen.models.numbers.model.NumbersModel`.
"""
