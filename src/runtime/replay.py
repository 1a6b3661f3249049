"""``replay``: what a recorded stream holds, and whether its books hold together."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from src.api.recorder_format import recording_files
from src.api.replay_book import Leg
from src.api.replay_report import ReplayReport
from src.core.errors import ConfigError

_MOST_ROWS = 50


def replay_command(files: Sequence[Path], prices: Leg | None, out: Path | None, console: Console) -> int:
    """Read ``files`` (a folder stands for the recording in it), print the report; returns the exit code.

    ``out`` gets the whole report as JSON. Raises ``ConfigError`` for what the user can mend.
    """
    report = ReplayReport(prices)
    for path in _expanded(files):
        report.read(path)
    document = report.document()
    _show(document, console)
    if out is not None:
        _write(out, document)
    return 0


def _expanded(files: Sequence[Path]) -> list[Path]:
    found: list[Path] = []
    for path in files:
        inside = recording_files(path) if path.is_dir() else [path]
        if not inside:
            raise ConfigError(f"{path}: holds no recording (*.rec.gz); name the files themselves")
        found += inside
    return found


def _write(out: Path, document: dict[str, Any]) -> None:
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(document, indent=1) + "\n")
    except OSError as error:
        raise ConfigError(
            f"--json: {out} cannot be written ({error.strerror}); choose another file"
        ) from error


def _show(document: dict[str, Any], console: Console) -> None:
    counts = ", ".join(f"{count:,} {kind}" for kind, count in document["messages"].items())
    lines = [f"messages: {counts or 'none'}"]
    if document["unknown_types"]:
        lines.append(f"of types not known here: {', '.join(document['unknown_types'])}")
    for title, name in (
        ("unparsed messages", "unparsed"),
        ("negative levels", "negative_levels"),
        ("crossed books", "crossed_books"),
    ):
        lines.append(f"{title}: {document[name]['count']:,}")
        lines += [f"  {example}" for example in document[name]["first"]]
    lines.append(f"sequence gaps: {document['sequence_gaps']:,}")
    for each in document["sequences"]:
        if each["gaps"] or each["restarts"]:
            restarts = f", {each['restarts']:,} steps back" if each["restarts"] else ""
            lines.append(
                f"  connection {each['connection']} sid {each['sid']}: {each['gaps']:,} gaps, "
                f"{each['missing']:,} of {each['messages'] + each['missing']:,} messages missing{restarts}"
            )
    if document["deltas_before_a_snapshot"]:
        lines.append(f"deltas before a snapshot: {document['deltas_before_a_snapshot']:,}")
    if document["repeated_deltas"]:
        lines.append(f"deltas that came twice, applied once: {document['repeated_deltas']:,}")
    legs = sorted({book["prices"] for book in document["books"]})
    if legs:
        lines.append(f"NO side read in: {', '.join(legs)}")
    if document["dropped_while_recording"]:
        lines.append(f"dropped while recording: {document['dropped_while_recording']:,}")
    for line in lines:
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    _show_tops(document["books"], console)


def _show_tops(books: list[dict[str, Any]], console: Console) -> None:
    if not books:
        return
    table = Table("market", "sid", "bid", "size", "ask", "size", "messages", title="final tops (YES prices)")
    for book in books[:_MOST_ROWS]:
        tops = (book[name] or "-" for name in ("bid", "bid_size", "ask", "ask_size"))
        table.add_row(book["market"], str(book["sid"]), *tops, f"{book['messages']:,}")
    console.print(table)
    if len(books) > _MOST_ROWS:
        console.print(f"{len(books) - _MOST_ROWS:,} more; --json writes them all", highlight=False)
