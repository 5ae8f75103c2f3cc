"""What drives the application: the CLI."""
