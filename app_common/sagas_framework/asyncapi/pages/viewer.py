"""The official component that draws a document, `@asyncapi/react-component`: a bundle, and where it is loaded from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sagas_framework.errors import ConfigurationError

PACKAGE = "@asyncapi/react-component"
VERSION = "3.2.1"
SCRIPT = "browser/standalone/index.js"
STYLE = "styles/default.min.css"
# Of these two files in this version. A browser refuses others, wherever they come from.
INTEGRITY = {
    SCRIPT: "sha384-wy5bSOazlkSKMGH7XMW6+pK8ho8+rCPr7mTqKdAb/dvfwXAPWCFivgr3C7wJMFAh",
    STYLE: "sha384-oo9RoQcacP++XdMX6CjTucTvASEORHX3chFik0/V2kHcsHiVboGyWZztGeq/0bum",
}
PUBLIC_COPY = f"https://unpkg.com/{PACKAGE}@{VERSION}/"
OWN_COPY = "/viewer/"


@dataclass(frozen=True)
class Viewer:
    """`directory`: the installed package, which is then served; without one, browsers ask the public copy."""

    directory: Path | None = None

    @property
    def root(self) -> str:
        return PUBLIC_COPY if self.directory is None else OWN_COPY

    @property
    def script(self) -> str:
        return self.root + SCRIPT

    @property
    def style(self) -> str:
        return self.root + STYLE


def installed_in(directory: Path | None) -> Viewer:
    if directory is not None:
        missing = [name for name in INTEGRITY if not (directory / name).is_file()]
        if missing:
            raise ConfigurationError(
                f"{directory} does not hold the package {PACKAGE}: {missing[0]} is missing; name the folder that npm "
                "has installed it into, or none, and browsers load it from the public copy"
            )
    return Viewer(directory and directory.resolve())
