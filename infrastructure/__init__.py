"""Driven adapters: what stands behind the domain's ports."""

import domain

if not getattr(domain, "LADING", False):
    raise ImportError(
        f"the package 'domain' that Python finds first ({getattr(domain, '__file__', None) or list(domain.__path__)}) "
        "is not Lading's; run from another folder or take that one off PYTHONPATH"
    )
