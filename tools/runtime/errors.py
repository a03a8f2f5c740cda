"""What can go wrong between the halves, in one line that its reader can act on."""

from __future__ import annotations

EXIT_BUNDLE, EXIT_USAGE, EXIT_LINK = 1, 2, 5
"""Exit codes: a bad bundle or bad samples; a bad command line; the link or the other side failed."""


class LinkError(Exception):
    """A failure with a code (`AS8xx`, see docs/diagnostics.md), where it lies, and what to do about it; `str` gives the message."""

    def __init__(self, code: str, message: str, where: str = "", hint: str = "") -> None:
        """Hold the parts."""
        super().__init__(message)
        self.code = code
        self.message = message
        self.where = where
        self.hint = hint

    @property
    def exit_code(self) -> int:
        """What a program that stops over it returns."""
        if self.code.startswith("AS80"):
            return EXIT_USAGE if self.code in ("AS800", "AS801") else EXIT_BUNDLE
        return EXIT_BUNDLE if self.code.startswith("AS85") else EXIT_LINK

    def text(self) -> str:
        """Return it as it is printed: message, place, hint."""
        lines = [f"error[{self.code}]: {self.message}"]
        lines += [f"  --> {self.where}"] if self.where else []
        lines += [f"  hint: {self.hint}"] if self.hint else []
        return "\n".join(lines)


def again(error: LinkError) -> LinkError:
    """Return an error like another, for one more reader: a raised error collects where it went."""
    return LinkError(error.code, error.message, error.where, error.hint)
