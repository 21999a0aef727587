"""What all tests share."""

from hypothesis import settings

collect_ignore = ["third_party"]  # a distribution of its own, tested where it is installed

settings.register_profile("agent", deadline=None)  # time is measured by benchmarks, not by tests
settings.load_profile("agent")
