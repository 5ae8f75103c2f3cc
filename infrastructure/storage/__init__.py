"""Storage providers and the factory that makes them."""
