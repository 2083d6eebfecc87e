"""``faust -A streams.reconciliation.app worker``: the app with the settings of the environment."""

from __future__ import annotations

from streams.reconciliation.service import build, free_port
from streams.settings import Settings

_settings = Settings.from_env()
app = build(_settings, _settings.web_port or free_port())
