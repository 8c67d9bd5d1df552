"""The service, whole-base scoring and what they share."""
