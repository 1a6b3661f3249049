"""The daily climate report: which day, which maximum, final or not."""

from __future__ import annotations

import pytest

from src.core.errors import WireError
from src.monitors.cli_report import CliReport, parse_cli_report

FINAL = """
000
CDUS41 KOKX 230620
CLINYC

CLIMATE REPORT
NATIONAL WEATHER SERVICE NEW YORK, NY
120 AM EST MON NOV 23 2026

...................................

...THE CENTRAL PARK NY CLIMATE SUMMARY FOR NOVEMBER 22 2026...

WEATHER ITEM   OBSERVED TIME   RECORD YEAR NORMAL DEPARTURE LAST
...................................................................
TEMPERATURE (F)
 YESTERDAY
  MAXIMUM         47    212 PM  72    1931  51     -4       55
  MINIMUM         35    640 AM  16    1880  39     -4       42

PRECIPITATION (IN)
  MAXIMUM         99
"""


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("nyc_final_2026-07-09", CliReport("CLINYC", "2026-07-08", 85, True)),
        ("nyc_intermediate_2026-07-09", CliReport("CLINYC", "2026-07-09", 82, False)),
        ("chi_final_2026-07-09", CliReport("CLIMDW", "2026-07-08", 89, True)),
        ("chi_intermediate_2026-07-09", CliReport("CLIMDW", "2026-07-09", 87, False)),
        ("aus_final_2026-07-09", CliReport("CLIAUS", "2026-07-08", 99, True)),
        ("aus_intermediate_2026-07-09", CliReport("CLIAUS", "2026-07-09", 98, False)),
        ("den_final_2026-07-09", CliReport("CLIDEN", "2026-07-08", 94, True)),
        ("den_intermediate_2026-07-09", CliReport("CLIDEN", "2026-07-09", 65, False)),
        ("phl_final_2026-07-09", CliReport("CLIPHL", "2026-07-08", 86, True)),
        ("phl_intermediate_2026-07-09", CliReport("CLIPHL", "2026-07-09", 81, False)),
        ("nyc_record", CliReport("CLINYC", "2026-07-02", 100, True)),
    ],
)
def test_recorded_reports(recorded, name: str, expected: CliReport):
    """Five offices, three layouts, both issues of the day; "100R" is a record, still a number."""
    assert parse_cli_report(recorded(f"nws_cli_text/{name}.txt").decode()) == expected


def test_a_final_report_by_hand():
    assert parse_cli_report(FINAL) == CliReport("CLINYC", "2026-11-22", 47, True)


def test_missing_is_missing():
    """MM is the office saying "no value": never a zero, never another line's number."""
    report = parse_cli_report(FINAL.replace("MAXIMUM         47", "MAXIMUM         MM"))
    assert report.tmax_f is None


def test_cold_days_have_a_sign():
    assert parse_cli_report(FINAL.replace("MAXIMUM         47", "MAXIMUM         -3")).tmax_f == -3


@pytest.mark.parametrize("line", ["VALID TODAY AS OF 0400 PM LOCAL TIME.", "VALID AS OF 0600 AM LOCAL TIME."])
def test_a_report_valid_as_of_a_time_is_not_final(line: str):
    text = FINAL.replace("2026...\n", f"2026...\n{line}\n").replace("YESTERDAY", "TODAY")
    assert parse_cli_report(text).final is False


def test_a_section_of_today_is_not_final_even_without_the_line():
    assert parse_cli_report(FINAL.replace("YESTERDAY", "TODAY")).final is False


@pytest.mark.parametrize(
    ("cut", "put", "field"),
    [
        ("CLINYC", "", "CLI.header"),
        ("CLIMATE SUMMARY FOR", "CLIMATE FOR", "CLI.summary"),
        ("NOVEMBER 22", "NOVEMBER 31", "CLI.summary"),
        ("NOVEMBER 22", "NOVEMBRE 22", "CLI.summary"),
        ("  MAXIMUM         47", "  MAX             47", "CLI.MAXIMUM"),
        ("TEMPERATURE (F)", "TEMPERATURE", "CLI.MAXIMUM"),
    ],
)
def test_a_report_that_lacks_a_part_names_it(cut: str, put: str, field: str):
    """Without the temperature section the precipitation's MAXIMUM must not be taken for it."""
    with pytest.raises(WireError, match=field):
        parse_cli_report(FINAL.replace(cut, put))
