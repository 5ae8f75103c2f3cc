"""How a command carries out a plan: shown while it goes on, told at the end."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from application.cached_downloads import Downloads
    from domain.known_hashes import KnownHashes
    from domain.objects import WriteCondition
    from domain.storage import IStorageProvider
    from domain.transfer import TransferPlan, TransferReport


def carry_out(
    provider: IStorageProvider,
    plan: TransferPlan,
    *,
    as_json: bool,
    content_type: str | None = None,
    metadata: Mapping[str, str] | None = None,
    condition: WriteCondition | None = None,
    origin: IStorageProvider | None = None,
    downloads: Downloads | None = None,
    known: KnownHashes | None = None,
    bucket: str | None = None,
    tell_replaced: bool = False,
) -> TransferReport:
    """Carry out a plan; its parameters are those of `application.applying.apply` and of `conclude`."""
    from application.applying import apply
    from domain.transfer import Direction
    from presentation.cli.progress import transfer_display
    from presentation.cli.transfer_report import conclude

    warn(plan, as_json=as_json)
    trash = None
    is_download = plan.direction is Direction.DOWNLOAD
    if plan.deletions or plan.backup:
        from application.trash import trash_of_folder, trash_of_store

        trash = trash_of_folder(plan.folder or ".") if is_download else trash_of_store(provider)
    with transfer_display(plan, as_json=as_json) as observer:
        report = apply(
            provider,
            plan,
            observer=observer,
            content_type=content_type,
            metadata=metadata,
            condition=condition,
            origin=origin,
            downloads=downloads,
            known=known,
            trash=trash,
            why=_why(provider, plan),
        )
    local = (plan.folder or ".") if is_download else None
    conclude(plan, report, as_json=as_json, local=local, bucket=bucket, tell_replaced=tell_replaced)
    return report


def warn(plan: TransferPlan, *, as_json: bool) -> None:
    """Say what a plan leaves out that somebody might expect in it."""
    from presentation.cli.output import printable

    if as_json:
        return
    if plan.reserved:
        names = ", ".join(plan.reserved)
        print(f"left out: {printable(names)} (kept for other uses at the root of a store or folder)", file=sys.stderr)
    if plan.left_out:
        print(f"left out: {plan.left_out:,} more files, by --max-files", file=sys.stderr)


def _why(provider: IStorageProvider, plan: TransferPlan) -> str:
    there = f"{provider.describe().url}/{plan.key_root}".rstrip("/")
    if plan.direction == "download":
        return f"sync {there} to {plan.path_root}"
    return f"{'replicate' if plan.direction == 'replicate' else 'sync'} {plan.path_root} to {there}"
