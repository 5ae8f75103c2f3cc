"""Use cases: what a person does with stored objects. Sees only the domain."""
