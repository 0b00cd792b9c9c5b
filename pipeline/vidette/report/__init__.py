"""What a run leaves behind for people: `report.json`, and `report.html` to look at.

`collect.py` gathers from the results what the ledger does not keep, with `timeline.py` as its memory of time; `page.py`
is the page, with the drawings of `charts.py` and the look of `style.py`; `files.py` writes.
"""

from vidette.report.collect import ReportCollector
from vidette.report.files import check_writable, write_report

__all__ = ["ReportCollector", "check_writable", "write_report"]
