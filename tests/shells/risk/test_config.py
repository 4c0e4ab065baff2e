"""Settings of risk: text to integers once, and everything that is wrong named."""

from __future__ import annotations

from pathlib import Path

import pytest

from portfolio_worlds import CATALOG, USD
from tradecore.catalog import Catalog
from tradecore.errors import ConfigError
from tradecore.risk import RiskPolicy
from tradecore_shells.plumbing.config import load_settings
from tradecore_shells.risk.config import LimitSettings, RiskConfig, RiskSettings, policy_of


def load(folder: Path, text: str) -> RiskPolicy:
    file = folder / "risk.toml"
    file.write_text(text, "utf-8")
    return policy_of(load_settings(RiskConfig, file, {}).risk, CATALOG)


def test_everything_but_marking_is_off(tmp_path: Path) -> None:
    policy = load(tmp_path, "")
    assert policy.marks.on
    assert (policy.breakers.move_ppm, policy.breakers.volatility_ppm) == (0, 0)
    assert not policy.nodes.any_gross
    assert not policy.nodes.any_drawdown
    assert policy.asset_id == USD.asset_id


def test_amounts_are_text_in_the_reporting_asset(tmp_path: Path) -> None:
    policy = load(
        tmp_path,
        """
        [risk]
        asset = "EUR"
        evaluate_ms = 250
        [risk.limits]
        group_drawdown = "0.5"
        firm_gross = "1000000"
        window_s = 60
        [risk.breakers]
        move_ppm = 50_000
        [[risk.figures.stress]]
        name = "coins fall"
        all_ppm = -1
        by_symbol = {BTC-PERP = -200_000}
        """,
    )
    assert policy.asset_id == 2
    assert policy.nodes.group_drawdown == 50_000_000
    assert policy.nodes.firm_gross == 10**14
    assert policy.nodes.window_ms == 60_000
    assert policy.evaluate_ms == 250
    (scenario,) = policy.figures.stress
    assert (scenario.all_ppm, scenario.by_symbol) == (-1, {"BTC-PERP": -200_000})


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[risk]\nasset = 'XYZ'", "XYZ"),
        ("[risk.limits]\nfirm_drawdown = 'much'", "firm_drawdown"),
        ("[risk.limits]\nfirm_drawdown = '-1'", "firm_drawdown"),
        ("[risk.limits]\nfirm_drawdown = '0.000000001'", "firm_drawdown"),
        ("[risk.limits]\nrelease_ppm = 1_000_001", "release_ppm"),
        ("[risk.marks]\ninterval_ms = 99", "interval_ms"),
        ("[risk.marks]\nstep_ppm = 0", "step_ppm"),
        ("[risk.figures]\nlevels = [1.0]", "levels"),
        ("[risk.figures]\nsamples = 1", "samples"),
        ("[[risk.figures.stress]]\nname = 'x'\nby_symbol = {NOPE = 1}", "NOPE"),
        ("[[risk.figures.stress]]\nname = 'x'\nall_ppm = -1_000_001", "all_ppm"),
        ("[risk.breaker]\nmove_ppm = 1", "breaker"),
        ("[risk]\nsnapshot_every_s = 0", "snapshot_every_s"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        load(tmp_path, text)


def test_an_empty_catalog_is_refused() -> None:
    with pytest.raises(ConfigError, match="nothing to watch"):
        policy_of(RiskSettings(limits=LimitSettings()), Catalog([]))
