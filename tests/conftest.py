"""What all tests share: how long Hypothesis may take, since a busy machine is no defect."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("remedy", deadline=None)
settings.load_profile("remedy")
