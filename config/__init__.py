"""Settings of the application, and the composition root."""
