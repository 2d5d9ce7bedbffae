"""What every part of a plan, and of the machine's settings, has in common."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Identifier = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,39}$")]
"""What ids are made of: they become tags, file names and command-line words."""


class Section(BaseModel):
    """A part of a plan. Unknown keys are errors; nothing can be changed after loading."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, arbitrary_types_allowed=True, defer_build=True
    )
