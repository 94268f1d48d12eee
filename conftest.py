"""What every test needs of the process that runs it."""

import signal

# A shell starts what runs in its background with SIGINT ignored, and children inherit that: a test that
# interrupts a process would wait for ever.
signal.signal(signal.SIGINT, signal.default_int_handler)
