"""The options that say what a transfer is about, shared by all commands that make a plan."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import typer

if TYPE_CHECKING:
    from application.filters import Matcher
    from application.planning import PlanOptions

Include = Annotated[
    list[str] | None,
    typer.Option(metavar="PATTERN", help="Only names like this, in .gitignore's syntax; repeatable."),
]
Exclude = Annotated[
    list[str] | None, typer.Option(metavar="PATTERN", help="No names like this, in .gitignore's syntax; repeatable.")
]
SizeMin = Annotated[str | None, typer.Option(metavar="SIZE", help="No smaller files: 100, 10K, 5MiB.")]
SizeMax = Annotated[str | None, typer.Option(metavar="SIZE", help="No larger files.")]
MaxFiles = Annotated[int | None, typer.Option(min=0, metavar="N", help="At most so many, the first ones by name.")]
Links = Annotated[str, typer.Option("--symlinks", metavar="follow|skip|error", help="What becomes of symbolic links.")]
SizeOnly = Annotated[bool, typer.Option("--size-only", help="Files of one size are taken to be the same.")]
Checksum = Annotated[
    bool, typer.Option("--checksum", help="Read every file and ask for every hash; believe nothing remembered.")
]
Delete = Annotated[bool, typer.Option("--delete", help="Move what only the destination has to the trash.")]
MaxDelete = Annotated[
    int | None,
    typer.Option(min=0, metavar="N", help="Delete at most so many. Default: 1000, and half of what is there."),
]
Force = Annotated[bool, typer.Option("--force", help="Delete however many there are.")]
Backup = Annotated[bool, typer.Option("--backup", help="Keep what is replaced in the trash.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only show what would be done.")]


@dataclass(frozen=True, slots=True)
class Choices:
    """What was chosen by the options above, as it can be written down and read again."""

    # Where a plan is read from a file, a choice that is not known is not taken lightly.
    __pydantic_config__: ClassVar = {"extra": "forbid"}

    compare: str = "nothing"
    include: list[str] = field(default_factory=list)
    exclude: list[str] = field(default_factory=list)
    size_min: int = 0
    size_max: int | None = None
    max_files: int | None = None
    symlinks: str = "follow"
    delete: bool = False
    max_delete: int | None = None
    force: bool = False
    backup: bool = False

    @classmethod
    def made(
        cls,
        *,
        compare: str = "nothing",
        include: list[str] | None = None,
        exclude: list[str] | None = None,
        size_min: str | None = None,
        size_max: str | None = None,
        max_files: int | None = None,
        symlinks: str = "follow",
        delete: bool = False,
        max_delete: int | None = None,
        force: bool = False,
        backup: bool = False,
    ) -> Choices:
        """The choices of a command line.

        Raises:
            typer.BadParameter: one can't be, or two contradict each other.
        """
        if symlinks not in {"follow", "skip", "error"}:
            raise typer.BadParameter(f"{symlinks!r} is none of follow, skip, error", param_hint="--symlinks")
        if not delete and (max_delete is not None or force):
            raise typer.BadParameter("--max-delete and --force are about --delete, which is not given")
        return cls(
            compare,
            include or [],
            exclude or [],
            _size(size_min, "--size-min") or 0,
            _size(size_max, "--size-max"),
            max_files,
            symlinks,
            delete,
            max_delete,
            force,
            backup,
        )

    def as_dict(self) -> dict[str, Any]:
        """The choices that are not the default."""
        usual = asdict(Choices())
        return {name: value for name, value in asdict(self).items() if value != usual[name]}

    def plan_options(self, seen: Callable[[int], object]) -> PlanOptions:
        """The same for whoever plans.

        Args:
            seen: as `PlanOptions.seen`.
        """
        from application.filters import Filters
        from application.local_tree import Symlinks
        from application.planning import PlanOptions
        from domain.transfer import Comparison, DeleteBudget

        budget = DeleteBudget()
        if self.max_delete is not None:
            budget = DeleteBudget(self.max_delete, None)
        if self.force:
            budget = DeleteBudget(None, None)
        return PlanOptions(
            compare=Comparison(self.compare),
            filters=Filters(
                _matcher(self.include, "--include"),
                _matcher(self.exclude, "--exclude"),
                self.size_min,
                self.size_max,
                self.max_files,
            ),
            symlinks=Symlinks(self.symlinks),
            delete=self.delete,
            budget=budget,
            backup=self.backup,
            seen=seen,
        )


def comparison(size_only: bool, checksum: bool) -> str:
    """The comparison that two options choose.

    Raises:
        typer.BadParameter: both are given.
    """
    if size_only and checksum:
        raise typer.BadParameter("give --size-only or --checksum, not both")
    return "size" if size_only else "checksum" if checksum else "content"


def _matcher(patterns: list[str], option: str) -> Matcher | None:
    if not patterns:
        return None
    from pathspec import GitIgnoreSpec

    try:
        matches: Matcher = GitIgnoreSpec.from_lines(patterns).match_file
    except ValueError as error:
        raise typer.BadParameter(f"{error}", param_hint=option) from None
    return matches


def _size(given: str | None, option: str) -> int | None:
    if given is None:
        return None
    from pydantic import ByteSize, TypeAdapter, ValidationError

    try:
        return int(TypeAdapter(ByteSize).validate_python(given.strip()))
    except ValidationError:
        raise typer.BadParameter(
            f"{given!r} is no size; write for example 100, 10K, 1.5MB or 5MiB", param_hint=option
        ) from None
