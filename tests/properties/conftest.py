"""How hard the properties are tried: quickly with the other tests, at length with ``--hypothesis-profile=deep``."""

from hypothesis import HealthCheck, settings

settings.register_profile("quick", max_examples=150, deadline=None)
settings.register_profile("deep", max_examples=20_000, deadline=None, suppress_health_check=list(HealthCheck))
settings.load_profile("quick")
