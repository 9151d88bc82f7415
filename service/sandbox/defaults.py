"""What a sandbox does where nothing else is asked for: light, so that a command's help can name it."""

PAGE_SIZE = 100  # that of the real service is not documented
DEFAULT_RUN_SECONDS = 10.0
MAX_RUNNING = 16
