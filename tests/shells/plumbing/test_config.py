"""Settings: one file, the environment over it, errors that name the key."""

import pytest

from tradecore.errors import ConfigError
from tradecore_shells.plumbing.config import (
    LogSettings,
    ObserveSettings,
    Settings,
    StoreSettings,
    load_settings,
    show_settings,
)


class Example(Settings, frozen=True, kw_only=True):
    log: LogSettings = LogSettings()
    store: StoreSettings = StoreSettings()
    observe: ObserveSettings = ObserveSettings()


def write(tmp_path, text):
    path = tmp_path / "x.toml"
    path.write_text(text)
    return path


def test_defaults_without_file():
    assert load_settings(Example, None, {}) == Example()


def test_file_then_environment(tmp_path):
    path = write(tmp_path, '[log]\nurl = "unix:/a"\npartition = 3\n[other]\nx = 1\n')
    environ = {
        "TRADECORE_LOG__URL": "kafka://127.0.0.1:9",
        "TRADECORE_OBSERVE__PORT": "8080",
        "HOME": "/",
    }
    got = load_settings(Example, path, environ)
    assert got.log == LogSettings(url="kafka://127.0.0.1:9", partition=3)
    assert got.observe.port == 8080


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[log]\nurll = 'x'\n", ("urll",)),
        ("[log]\npartition = -1\n", ("log.partition",)),
        ("[log]\npartition = 'one'\n", ("log.partition", "int")),
        ("[observe]\nport = 70000\n", ("observe.port",)),
        ("[log\n", ("not TOML",)),
        ("loose = 1\n", ("loose", "outside")),
    ],
)
def test_bad_settings_name_file_and_key(tmp_path, text, words):
    path = write(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        load_settings(Example, path, {})
    assert str(path) in str(caught.value)
    for word in words:
        assert word in str(caught.value)


def test_missing_file_is_one_sentence(tmp_path):
    with pytest.raises(ConfigError, match=r"No such file.*--config"):
        load_settings(Example, tmp_path / "none.toml", {})


def test_secrets_are_not_shown():
    settings = Example(store=StoreSettings(dsn="postgresql://user:hunter2@127.0.0.1:5432/x"))
    shown = show_settings(settings)
    assert "hunter2" not in repr(shown)
    assert shown["store"]["dsn"] == "postgresql://user:***@127.0.0.1:5432/x"
