"""Profiles: those that ship, and what a bad file is told."""

from __future__ import annotations

import msgspec
import pytest

from tradecore.capacity.profile import PROFILES, parse_profile
from tradecore.errors import ConfigError

TOML = """
mix = "pipeline"
active_share = 0.2
commands_per_active_user = 100
session_hours = 24
peak_to_mean = 10
open_orders_per_user = 1
holdings_per_user = 2.5
"""


def test_shipped_profiles_survive_a_round_trip() -> None:
    for profile in PROFILES.values():
        assert parse_profile(msgspec.json.encode(profile), "x") == profile
        assert profile.description


def test_parse_toml_takes_the_file_name_where_it_has_none() -> None:
    profile = parse_profile(TOML, "mine.toml")
    assert (profile.name, profile.holdings_per_user, profile.utilisation) == ("mine.toml", 2.5, 0.5)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (TOML.replace("peak_to_mean = 10", "peak_to_mean = -3"), "peak_to_mean is -3.*1 or more"),
        (TOML.replace("= 100", "= -1"), "commands_per_active_user is -1.*above 0"),
        (TOML.replace("0.2", "1.5"), "active_share is 1.5"),
        (TOML.replace("0.2", "nan"), "active_share is nan"),
        (TOML.replace("= 10\n", "= inf\n"), "peak_to_mean is inf"),
        (TOML.replace("24", "25"), "session_hours is 25.*at most 24"),
        (TOML + "replicas = 0\n", "replicas is 0"),
        (TOML + "colour = 3\n", "unknown field `colour`"),
        (TOML.replace('mix = "pipeline"', ""), "missing required field `mix`"),
        (TOML.replace("= 100", '= "100"'), "Expected `float`, got `str`"),
        ("not toml at all", "neither TOML nor JSON"),
        ('{"mix": "pipeline"', "neither TOML nor JSON"),
        ("[1, 2]", "neither TOML nor JSON"),
        (b"\xff\xfe", "neither TOML nor JSON"),
        ("", "missing required field"),
    ],
)
def test_bad_profile_is_one_clear_error(text: str | bytes, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason) as caught:
        parse_profile(text, "mine.toml")
    assert "mine.toml" in str(caught.value)
    assert "\n" not in str(caught.value).strip()
