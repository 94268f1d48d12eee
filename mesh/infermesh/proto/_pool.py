"""The descriptor pool of the packages that other distributions define as well.

protobuf's default pool is one per process and refuses a second definition of a name. Generated stubs import
this module in place of `google.protobuf.descriptor_pool` and ask it for `Default()`.
"""

from google.protobuf.descriptor_pool import DescriptorPool

_POOL = DescriptorPool()


def Default() -> DescriptorPool:  # noqa: N802 - the name that generated code calls
    """The pool that all of our stubs share, since they import each other."""
    return _POOL
