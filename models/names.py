"""Names that become folder names."""

from typing import Annotated

from pydantic import StringConstraints

FolderName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]*$", max_length=60)]
"""Lower-case letters, digits and hyphens: safe as a folder name on every system."""
