"""Services for faults: those of the service's own tests."""

from tests.serving.conftest import make_workspace, serve, service, template

__all__ = ["make_workspace", "serve", "service", "template"]
