"""The engine of local disk: how keys, bytes and what is known of them are kept in a folder."""
