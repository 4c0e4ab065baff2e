"""What a plan consists of: demand, components, sizes, costs, assumptions. Made by `make_plan`."""

from __future__ import annotations

import msgspec

from tradecore.capacity.predict import Check
from tradecore.capacity.profile import Profile
from tradecore.capacity.public_rates import PublicRate

__all__ = ["Component", "Demand", "Line", "Plan"]


class Demand(msgspec.Struct, frozen=True):
    """What the users ask for on the busiest day.

    Attributes
    ----------
    active_users, commands_per_day : float
    mean_per_s, peak_per_s : float
        Commands a second over the session, and in its busiest second.
    events_per_day, fills_per_day, rows_per_day : float
    """

    active_users: float
    commands_per_day: float
    mean_per_s: float
    peak_per_s: float
    events_per_day: float
    fills_per_day: float
    rows_per_day: float


class Component(msgspec.Struct, frozen=True):
    """One part of the platform.

    Attributes
    ----------
    name : str
    count : int
        How many to run or buy; 0 for a quantity that is not counted in pieces.
    need, capacity : float
        What the busiest second (or the time it is kept) asks for, and what `count` give.
    unit : str
        Of both.
    head_room : float or None
        capacity / need.
    how : str
        The arithmetic.
    """

    name: str
    count: int
    need: float
    capacity: float
    unit: str
    how: str

    @property
    def head_room(self) -> float | None:
        """How many times the need fits the capacity, None where nothing is needed."""
        return self.capacity / self.need if self.need > 0 else None


class Line(msgspec.Struct, frozen=True):
    """A quantity or a cost with its unit and where it comes from."""

    name: str
    value: float
    unit: str
    source: str


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """The answer.

    Attributes
    ----------
    users : int
    profile : Profile
    demand : Demand
    components : list of Component
    sizes : list of Line
        Memory, bytes a day, recovery time.
    costs : list of Line
        Of a million commands of this mix.
    assumptions : list of Line
        Every number that was not counted from the others: stated by the profile, measured, assumed.
    checks : list of Check
        The arithmetic on this machine's own saturation.
    public : tuple of PublicRate
    measured_on : str
        Machine, commit and time of the coefficients.
    """

    users: int
    profile: Profile
    demand: Demand
    components: list[Component]
    sizes: list[Line]
    costs: list[Line]
    assumptions: list[Line]
    checks: list[Check]
    public: tuple[PublicRate, ...]
    measured_on: str
