from typing import Annotated

from tollgate_guest import ToolError, tool


@tool
def greet(
    name: Annotated[str, "Who is greeted."],
    title: Annotated[str | None, "A title before the name."] = None,
) -> str:
    """Greets someone by name."""
    if not name.strip():
        raise ToolError("no-name", "say who is greeted in `name`")
    return f"Hello, {title} {name}!" if title else f"Hello, {name}!"
