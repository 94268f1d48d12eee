"""Failures after which a model cannot be used any more, however often it is called."""

#: CUDA's codes of errors that stay with the process: a device that is unavailable, ECC and NVLink errors,
#: illegal address, launch timeout, assertion, hardware stack error, illegal instruction, misaligned address,
#: invalid address space, invalid program counter, launch failure. Running out of memory (2) is none of them.
_STICKY_CUDA_ERRORS = frozenset({46, 214, 220, 700, 702, 710, 714, 715, 716, 717, 718, 719})


class FatalError(Exception):
    """Raised by a model's ``infer`` to say that it cannot be used any more, as when its device has failed.

    The batch is answered with INTERNAL and the message, the version leaves service, the server stops being
    ready, and whoever called the model next gets UNAVAILABLE.
    """


def is_fatal(error: BaseException) -> bool:
    """Return whether a model says so itself, or PyTorch says so of the device it runs on."""
    if isinstance(error, FatalError):
        return True
    # Known by its name, as importing torch takes seconds.
    kind = type(error)
    if kind.__module__.partition(".")[0] == "torch" and kind.__name__ == "AcceleratorError":
        return getattr(error, "error_code", None) in _STICKY_CUDA_ERRORS
    return False
