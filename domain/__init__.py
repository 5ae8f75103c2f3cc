"""The language of the problem: the storage port, the values it speaks, its errors. Standard library only."""

LADING = True
"""Says that this `domain` is Lading's; `infrastructure` looks for it, because the name is a common one."""
