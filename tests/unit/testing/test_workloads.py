"""Workload generators: same bytes everywhere, the shape they promise, the public suite's shape."""

from __future__ import annotations

import gzip

import numpy as np
import pytest

from shared_data import shared
from tradecore.data.workload import decode_workload
from tradecore.dtypes import ADMIN
from tradecore.errors import ConfigError
from tradecore.testing import _draws, workloads

# SHA-256 at 10,000 commands and the canonical seed. A change here is a change of every published
# number: it needs a changelog line and new baselines.
PINNED = {
    "static": "c11d7439c75c0ef34f0b33d311ae33d6d2655a2aeded841e5132cbd46ba82a52",
    "normal": "b3fdd84b6de61a4f860a50c6701fdefd9e80e21f9114196fc4aec41ac473a7e9",
    "swing-25": "909205f4c8f679b263e6a1f9aad733bf8a322d251eafe9644fa1014b5ac6f4c7",
    "swing-40": "b6b3811ea7f4b66e24d29ffe1184778d8c51b90b5cab6a6e556ecd90f580b6dd",
    "flash-crash": "c523dc676c78ce9e2919427f34867991999fa303e8a1652a80cb75c1600d118f",
    "busy": "95d8496a8b0ee429e7296e88b87a27f5af550c77327347bb13a8fa828a0d0ad1",
    "zipf": "bb6340fc8c9fd1f1dd8c7eb848325e2c53076c48af2f4cf051cd5b847601ff39",
    "pipeline": "72c6cbb7828ecbfa8b83844b87b6875835b2dd0f56672fde959c402d8a0328ef",
    "moves": "f20b0fa2065c6d94ffb56a6741c96a33b53b170ffb64d6d526cdb033e456dd2a",
}

REGIMES = ["static", "normal", "swing-25", "swing-40", "flash-crash"]


@pytest.fixture(scope="module", params=workloads.NAMES)
def work(request: pytest.FixtureRequest) -> workloads.Workload:
    return workloads.make(request.param, 40_000)


def test_make_pinned_seed_gives_the_published_bytes() -> None:
    got = {name: workloads.make(name, 10_000).sha256 for name in workloads.NAMES}
    assert got == PINNED


def test_make_other_seed_gives_other_bytes(work: workloads.Workload) -> None:
    assert workloads.make(work.name, 40_000, seed=3).sha256 != work.sha256


@pytest.mark.parametrize("commands", [1, 2, 3, 7, 100])
@pytest.mark.parametrize("name", workloads.NAMES)
def test_make_short_lengths_are_exact(name: str, commands: int) -> None:
    assert len(workloads.make(name, commands).records()) == commands


@pytest.mark.parametrize(("name", "commands"), [("nosuch", 10), ("busy", 0), ("busy", 10**9)])
def test_make_bad_argument_is_refused(name: str, commands: int) -> None:
    with pytest.raises(ConfigError):
        workloads.make(name, commands)


def test_encode_is_readable_by_the_file_reader(work: workloads.Workload) -> None:
    records = decode_workload(work.encode())
    assert np.array_equal(records, work.records())


def test_messages_no_order_is_named_before_it_was_sent(work: workloads.Workload) -> None:
    m = work.messages
    first_new: dict[int, int] = {}
    for i, (kind, order_id) in enumerate(zip(m.kind.tolist(), m.order_id.tolist(), strict=True)):
        if kind == 0:
            assert order_id not in first_new, "an id is used for two orders"
            first_new[order_id] = i
        else:
            assert order_id in first_new
    assert 0 not in first_new
    assert max(first_new) < 2**63  # the upper half of the id space belongs to the engine


def test_messages_an_order_keeps_side_instrument_and_account(work: workloads.Workload) -> None:
    m = work.messages
    seen: dict[int, tuple[int, ...]] = {}
    columns = (m.order_id, m.side, m.instrument_id, m.account_id)
    for order_id, *rest in zip(*(c.tolist() for c in columns), strict=True):
        assert seen.setdefault(order_id, tuple(rest)) == tuple(rest)


def test_messages_prices_and_quantities_are_positive(work: workloads.Workload) -> None:
    m = work.messages
    assert (m.px[m.kind != 1] >= 1).all()
    assert (m.qty >= 1).all()


def test_messages_flow_mix_is_what_the_spec_says() -> None:
    # Shares of the kinds of the known mix 9 % resting, 3 % IOC, 6 % cancel, 82 % move.
    m = workloads.make("moves", 400_000).messages
    ioc = (m.ioc > 0).mean()
    resting = ((m.kind == 0) & (m.ioc == 0)).mean()
    assert 0.085 < resting < 0.105
    assert 0.025 < ioc < 0.035
    assert 0.055 < (m.kind == 1).mean() < 0.07
    assert 0.80 < (m.kind == 2).mean() < 0.83


def test_messages_instruments_are_zipf() -> None:
    m = workloads.make("zipf", 200_000).messages
    count = np.bincount(m.instrument_id, minlength=1_000)
    assert len(count) == 1_000
    # Harmonic number of 1,000 is 7.485: the first takes 13.4 %, the tenth a tenth of that.
    assert 0.12 < count[0] / count.sum() < 0.15
    assert 6 < count[0] / count[9] < 16


def test_messages_accounts_trade_few_instruments() -> None:
    m = workloads.make("pipeline", 200_000).messages
    assert m.account_id.min() >= 1
    assert m.account_id.max() <= 100_000
    pairs = np.unique(m.account_id << 32 | m.instrument_id)
    instruments_each = np.bincount(pairs >> 32)
    assert instruments_each.max() <= 5


@pytest.mark.shared
@pytest.mark.parametrize("name", REGIMES)
def test_regime_has_the_shape_of_the_public_files(name: str) -> None:
    path = shared(f"data/matching_workloads/orders_{name}_s23_n20000.bin.gz")
    real = decode_workload(gzip.decompress(path.read_bytes()))
    ours = workloads.make(name, len(real)).records()
    for kind in (0, 1, 2):
        assert abs((real["type"] == kind).mean() - (ours["type"] == kind).mean()) < 0.01
    new_real, new_ours = real[real["type"] == 0], ours[ours["type"] == 0]
    assert abs(new_real["ioc"].mean() - new_ours["ioc"].mean()) < 0.01
    assert abs(new_real["side"].mean() - new_ours["side"].mean()) < 0.02
    # Sizes are uniform on 1..100: compared by quantiles.
    quantiles = [5, 25, 50, 75, 95]
    sizes = [np.percentile(r["order_qty"], quantiles) for r in (new_real, new_ours)]
    assert np.abs(sizes[0] - sizes[1]).max() <= 3
    # How many messages lie between an order and its cancel.
    lives = [_life(r) for r in (real, ours)]
    assert abs(lives[0].mean() - lives[1].mean()) < 0.05
    assert lives[0].max() == lives[1].max() == 2
    if name == "static":
        # The mid does not move, so prices show the depth profile itself.
        spread = [
            np.percentile(np.abs(r["px"] - 33_504), [5, 25, 50, 75, 95]) for r in (real, ours)
        ]
        assert np.abs(spread[0] - spread[1]).max() <= 1
    else:
        # The price range grows with the regime; it is random, so only its magnitude is compared.
        spans = [float(np.ptp(r["px"][r["type"] == 0])) for r in (real, ours)]
        assert 0.25 < spans[0] / spans[1] < 4


def _life(records: np.ndarray) -> np.ndarray:
    """Return, for each first cancel, how many messages after its order it came."""
    sent: dict[int, int] = {}
    lives = []
    for i, (kind, order_id) in enumerate(zip(records["type"], records["order_id"], strict=True)):
        if kind == 0:
            sent[order_id] = i
        elif kind == 1 and order_id in sent:
            lives.append(i - sent.pop(order_id))
    return np.array(lives)


def test_draws_mix_is_splitmix64() -> None:
    # The first outputs of SplitMix64 seeded with 0, as published with the algorithm.
    counter = np.arange(1, 4, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    assert [hex(int(x)) for x in _draws.mix(counter)] == [
        "0xe220a8397b1dcdaf",
        "0x6e789e6aa1b965f4",
        "0x6c45d188009454f",
    ]


def test_draws_have_the_moments_they_claim() -> None:
    n = 200_000
    draws = _draws.Draws(1)
    bell = draws.bell(n) / 65536.0
    assert abs(bell.mean()) < 0.02
    assert abs(bell.std() - 1.0) < 0.02
    lives = draws.lifetimes(n, 1_000)
    assert abs(lives.mean() - 1_000) < 15
    assert abs(np.median(lives) - 1_000 * np.log(2)) < 15
    assert sorted(draws.shuffled(1_000).tolist()) == list(range(1_000))
    assert abs(draws.chance(n, 150_000).mean() - 0.15) < 0.005
    assert set(draws.below(n, 7).tolist()) == set(range(7))
    picked = np.bincount(draws.pick(n, np.array([1.0, 2.0, 5.0])), minlength=3) / n
    assert np.abs(picked - [0.125, 0.25, 0.625]).max() < 0.01


def test_commands_carry_the_same_orders_as_the_records(work: workloads.Workload) -> None:
    records, frames = work.records(), work.commands()
    assert frames.nbytes == 64 * len(work)
    assert np.array_equal(frames["kind"], np.array([1, 2, 3])[records["type"]])
    assert np.array_equal(frames["order_id"], records["order_id"])
    new, cancel = records["type"] == 0, records["type"] == 1
    assert np.array_equal(frames["side"][new], records["side"][new] + 1)
    assert np.array_equal(frames["px"][~cancel], records["px"][~cancel])
    assert np.array_equal(frames["order_qty"][~cancel], records["order_qty"][~cancel])
    # IOC is FIX 3, GTC 1; a market order (1) is IOC and keeps its protective price.
    assert np.array_equal(frames["tif"][new], np.array([1, 3])[records["ioc"][new]])
    assert set(np.unique(frames["tif"][frames["ord_type"] == 1])) <= {3}
    for name in ("side", "px", "order_qty", "ord_type", "tif", "instrument_id"):
        assert not frames[name][cancel].any()
    assert (np.diff(frames["ts_ns"].astype(np.int64)) == 1_000).all()


def test_setup_defines_every_instrument_and_funds_every_account() -> None:
    work = workloads.make("pipeline", 50_000)
    kind = work.setup().view(ADMIN)["kind"].astype(int)
    # An instrument takes four frames; the three behind the first are raw bytes of its definition.
    assert (kind[: 4 * work.needs.instruments : 4] == 21).all()
    admin = work.setup().view(ADMIN)[4 * work.needs.instruments :]
    opened = admin["account_id"][admin["kind"] == 22]
    assert np.array_equal(np.sort(opened), np.arange(1, 100_001))
    deposits = admin[admin["kind"] == 25]
    assert len(opened) + len(deposits) == len(admin)
    cash = deposits[deposits["asset_id"] == 0]
    assert np.array_equal(np.sort(cash["account_id"]), np.arange(1, 100_001))
    # Whoever sells instrument i holds its base asset i + 1.
    held = set(zip(deposits["account_id"].tolist(), deposits["asset_id"].tolist(), strict=True))
    m = work.messages
    selling = np.unique(np.stack([m.account_id, m.instrument_id], axis=1)[m.side == 1], axis=0)
    assert all((account, instrument + 1) in held for account, instrument in selling.tolist())
    assert sum(deposits["amount"].tolist()) < 2**62


def test_setup_linear_marks_every_instrument() -> None:
    work = workloads.make("pipeline", 50_000)
    frames = work.setup(linear=True).view(ADMIN)
    marks = frames[-work.needs.instruments :]
    assert (marks["kind"] == 14).all()
    assert (marks["mark_px"] >= 1).all()
    assert (frames["asset_id"][4 * work.needs.instruments :] == 0).all()


def test_setup_linear_without_accounts_is_refused() -> None:
    with pytest.raises(ConfigError, match="no accounts"):
        workloads.make("busy", 100).setup(linear=True)


def test_needs_bounds_the_orders_alive(work: workloads.Workload) -> None:
    # Follow the ids one by one, without matching: an order lives until its cancel.
    live: set[int] = set()
    peak = 0
    for r in work.records().tolist():
        if r[0] == 0 and r[2] == 0:
            live.add(r[6])
        elif r[0] == 1:
            live.discard(r[6])
        peak = max(peak, len(live))
    assert work.needs.orders == peak
