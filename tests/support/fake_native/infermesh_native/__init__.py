"""In place of the data plane, for processes of tests whose path begins with this folder."""

from support.fake_proxy import FakeProxy as Proxy

__all__ = ["Proxy"]
