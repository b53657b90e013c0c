"""Measures contests: contestants in processes of their own, which take turns.

A machine's speed drifts: by its clock, its heat, its other users. Contestants therefore take turns,
A B C A B C ..., and a ratio is formed of the two measurements of one round before the median is
taken, so that drift slower than a round cancels.

A result is a dict, as it stands in the JSON: `name`, `unit`, `notes`; `contestants`, from names to
the spread of what was measured and a `note`; `ratios`, from tfgen, and each other way to run it, to
the spreads of it over every other contestant, round by round; `shares`, from headings to, by
contestant, the spread of the share of a ceiling that it reached; `skipped`, from names to reasons.
"""

import contextlib
import dataclasses
import statistics
import sys

from benchmarks.workers import Missing, Worker, call, prepare, take_turn

OURS, OTHER = "tfgen", "other checkout"
FIRST_CALLS = (
    "from the end of `import tensorflow` in a new process to the end of the first call, with all "
    "that it compiles; below 1 is in favour of what the column is of"
)
# What the machine itself can do: nobody is compared with these.
PRODUCT, PYTORCH_PRODUCT, READ = CEILINGS = "matrix product", "matrix product, PyTorch", "reading"
# A contestant whose rounds differ by more than this factor was disturbed. What waits for all of its
# threads at every step, as PyTorch does, may lose far more than the share that others take.
STEADY = 1.5


@dataclasses.dataclass(frozen=True)
class Contest:
    """Who is measured doing what, in which unit.

    A contestant is `("module.function", *arguments)`. Of a contest of seconds, it is a function
    `(*arguments, round) -> (seconds, note)`, each call of which is in a process of its own. All
    others return the ways to do the same work, of which the fastest is measured: a dict from names
    to functions `run() -> amount`; or a pair of it and a note.
    """

    name: str
    unit: str  # something per second, "ms/step", or "s"
    contestants: dict  # by name, in the order of their turns
    # From headings to `(ceiling, cost)`: what a unit costs of what the contestant of that name
    # counts, or a dict of it by contestant.
    shares: dict = dataclasses.field(default_factory=dict)
    notes: tuple = ()
    turns: int = 1  # that each contestant takes in a round
    seconds: float | None = None  # least length of a turn; None takes that of all contests
    warm: bool = False  # whether a first round does not count
    # From contestants to the checkout that they are of, where it is another one.
    checkouts: dict = dataclasses.field(default_factory=dict)


def against(contest, checkout):
    """Yields contests of tfgen alone, here and in another checkout: a contest, and first calls.

    What is added may be called OTHER; it takes its turn right after what it is compared with.
    """
    both, checkouts = {}, {}
    for name, job in contest.contestants.items():
        if is_ours(name):
            both |= {name: job, f"{name}, {OTHER}": job}
            checkouts[f"{name}, {OTHER}"] = checkout
    where = f"{OTHER}: {checkout}"
    yield dataclasses.replace(
        contest, contestants=both, checkouts=checkouts, notes=(*contest.notes, where), shares={}
    )
    if contest.unit != "s":
        firsts = {name: ("workers.first_call", None, *job) for name, job in both.items()}
        more = {"notes": (FIRST_CALLS, where), "warm": True, "checkouts": checkouts}
        yield Contest(f"first call, {contest.name}", "s", firsts, **more)


def measure(contest, rounds, seconds):
    """Measures a `Contest` in so many rounds of turns of so many seconds; returns its result."""
    contestants, skipped = {}, {}
    with contextlib.ExitStack() as stack:
        for name in contest.contestants:
            tell(f"{contest.name}: preparing {name}")
            make = _Afresh if contest.unit == "s" else _Prepared
            try:
                contestants[name] = make(contest, name, seconds, stack)
            except Missing as error:
                skipped[name] = str(error)
        turns = {name: contestant.turn for name, contestant in contestants.items()}
        if contest.warm:
            alternate(turns, -1)
        values = {name: [] for name in turns}
        for number in range(rounds):
            tell(f"{contest.name}: round {number + 1} of {rounds}")
            for name, (amount, elapsed) in alternate(turns, number, contest.turns).items():
                values[name].append(value_of(contest.unit, amount, elapsed))
    notes = {name: contestant.note for name, contestant in contestants.items()}
    return result_of(contest, values, notes) | {"skipped": skipped}


def alternate(turns, number=0, count=1):
    """A round, in which contestants take so many turns each, A B C A B C ...

    `turns` are, by name, functions of the round's number that return `(amount, seconds)`; returned
    are the sums of both, by name.
    """
    totals = {name: (0, 0.0) for name in turns}
    for _ in range(count):
        for name, turn in turns.items():
            totals[name] = tuple(map(sum, zip(totals[name], turn(number), strict=True)))
    return totals


def value_of(unit, amount, elapsed):
    """What a round measured, in the contest's unit."""
    if unit == "s":
        return elapsed
    return 1000 * elapsed / amount if unit.startswith("ms/") else amount / elapsed


def result_of(contest, values, notes):
    """The result of values `{contestant: [value of each round]}`; see the module."""
    people = [name for name in values if name not in CEILINGS]
    contestants = {k: spread(each) | {"note": notes.get(k, "")} for k, each in values.items()}
    compared = {
        ours: {name: spread(ratios(values[ours], values[name])) for name in people if name != ours}
        for ours in filter(is_ours, people)
    }
    shares = {}
    for heading, (ceiling, costs) in contest.shares.items():
        costs = costs if isinstance(costs, dict) else dict.fromkeys(people, costs)
        shares[heading] = {
            name: spread(ratios(values[name], values[ceiling], cost))
            for name, cost in costs.items()
            if name in values
        }
    varied = [
        f"{name} varied by a factor of {max(each) / min(each):.1f} between rounds: "
        "was the machine busy?"
        for name, each in values.items()
        if max(each) > STEADY * min(each) > 0
    ]
    return {
        "name": contest.name, "unit": contest.unit, "contestants": contestants,
        "ratios": compared, "shares": shares, "notes": [*contest.notes, *varied], "skipped": {},
    }  # fmt: skip


def is_ours(name):
    """Whether a contestant is tfgen, in whichever way it is run."""
    return name.split(", ")[0] == OURS


def ratios(ours, theirs, scale=1.0):
    """`scale * ours / theirs`, round by round."""
    return [scale * mine / other for mine, other in zip(ours, theirs, strict=True)]


def spread(values):
    """A dict of the `values`, their `median`, `min` and `max`."""
    low, middle, high = min(values), statistics.median(values), max(values)
    return {"median": middle, "min": low, "max": high, "values": list(values)}


def tell(text):
    """Shows progress."""
    print(text, file=sys.stderr, flush=True)


class _Prepared:
    """A contestant whose process holds prepared work, and sleeps between its turns."""

    def __init__(self, contest, name, seconds, stack):
        worker = stack.enter_context(Worker(contest.checkouts.get(name)))
        self.note = worker.ask(prepare, seconds / 3, *contest.contestants[name])
        length = seconds if contest.seconds is None else contest.seconds
        self.turn = lambda number: worker.ask(take_turn, length)
        self.turn(0)


class _Afresh:
    """A contestant whose function is called in a new process at each turn."""

    def __init__(self, contest, name, seconds, stack):
        self.job, self.note = contest.contestants[name], ""
        self.checkout = contest.checkouts.get(name)
        call(f"{self.job[0].rpartition('.')[0]}.__dir__", checkout=self.checkout)

    def turn(self, number):
        seconds, note = call(*self.job, number, checkout=self.checkout)
        self.note += f"; {note}" if self.note else note
        return 1, seconds
