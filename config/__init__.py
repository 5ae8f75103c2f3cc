"""Settings of the application, and the composition root."""

import infrastructure as infrastructure  # which looks whether `domain` is ours, before anything else of it is asked for
