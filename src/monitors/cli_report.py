"""The NWS Daily Climate Report (product CLI): which day, which maximum, and whether it is final.

Source: the text product as issued by the forecast offices, e.g. ``CLINYC``. The afternoon issue covers
the day so far ("VALID TODAY AS OF 0400 PM LOCAL TIME") and may still rise; the one after midnight is final.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date

from src.core.errors import WireError

_MONTHS = (
    "JANUARY",
    "FEBRUARY",
    "MARCH",
    "APRIL",
    "MAY",
    "JUNE",
    "JULY",
    "AUGUST",
    "SEPTEMBER",
    "OCTOBER",
    "NOVEMBER",
    "DECEMBER",
)
_CLI_ID = re.compile(r"^CLI([A-Z0-9]{3})\s*$", re.MULTILINE)
_SUMMARY = re.compile(r"CLIMATE SUMMARY FOR\s+([A-Z]+)\s+(\d{1,2})\s+(\d{4})")
_PRELIMINARY = re.compile(r"^\s*VALID\s+(?:TODAY\s+)?AS OF\b", re.MULTILINE)
_TODAY = re.compile(r"^\s*TODAY\s*$", re.MULTILINE)
_SECTION_END = re.compile(r"\n\s*\n|\n\.{5}")
# "R" marks a record; "MM" stands for a missing value.
_MAXIMUM = re.compile(r"^\s*MAXIMUM\s+(MM|-?\d{1,3})R?(?=\s|$)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class CliReport:
    """One report: ``date`` is the climate day (ISO), ``tmax_f`` whole degF or None when missing."""

    cli_id: str
    date: str
    tmax_f: int | None
    final: bool


def parse_cli_report(text: str) -> CliReport:
    """Parse the text of one CLI product.

    Raises ``WireError`` naming the part that is missing; a maximum the office itself reports as
    missing (``MM``) is not an error.
    """
    header = _CLI_ID.search(text)
    if header is None:
        raise WireError("CLI.header", text[:60], "a line such as CLINYC")
    summary = _SUMMARY.search(text)
    if summary is None:
        raise WireError("CLI.summary", text[:120], "a line 'CLIMATE SUMMARY FOR <month> <day> <year>'")
    _, temperature, body = text.partition("TEMPERATURE (F)")
    section = _SECTION_END.split(body, maxsplit=1)[0]
    maximum = _MAXIMUM.search(section)
    if not temperature or maximum is None:
        raise WireError("CLI.MAXIMUM", section[:120], "a MAXIMUM line under TEMPERATURE (F)")
    value = maximum.group(1)
    running = _PRELIMINARY.search(text) is not None or _TODAY.search(section) is not None
    return CliReport(
        cli_id=f"CLI{header.group(1)}",
        date=_iso_date(*summary.groups()),
        tmax_f=None if value == "MM" else int(value),
        final=not running,
    )


def _iso_date(month: str, day: str, year: str) -> str:
    try:
        return date(int(year), _MONTHS.index(month) + 1, int(day)).isoformat()
    except ValueError:
        raise WireError("CLI.summary", f"{month} {day} {year}", "a calendar date") from None
