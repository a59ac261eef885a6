"""HTML pages from templates: no server and no requests, and no text is taken for markup."""

from __future__ import annotations

import base64
import hashlib
from typing import Any


def rendered(package: str, name: str, **values: Any) -> str:
    """The page that the template `NAME.html` of a package's `templates` makes of values.

    All values are escaped. If there is a `NAME.js`, the template has it as `script`, and as
    `script_hash` what the page's content security policy allows it by.
    """
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader(package, "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    if f"{name}.js" in environment.list_templates():
        assert environment.loader is not None
        script = environment.loader.get_source(environment, f"{name}.js")[0]
        digest = hashlib.sha256(script.encode()).digest()
        values |= {"script": script, "script_hash": base64.b64encode(digest).decode()}
    return environment.get_template(f"{name}.html").render(values)
