"""What all tests share."""

collect_ignore = ["third_party"]  # a distribution of its own, tested where it is installed
