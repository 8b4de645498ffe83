"""`lightning-clf doctor`: what a fit would be, said before any of its time is spent."""

from __future__ import annotations

import json

from lightning_clf.cli.interrupts import importing
from lightning_clf.cli.lines import counted

_HELP = """\
usage: lightning-clf doctor --config CONFIG [any option of fit] [--json]

Examine a fit before any of its time is spent: labels, loss and head; labels that are missing; imbalance; what the
window cuts; texts that occur twice, or in train and test; memory and time, from a few real steps; what comes out.
Nothing is written but the cache of encoded rows, which the fit then finds.

options:
  --config CONFIG  as for fit, with any other option of lightning-clf fit --help
  --json           write the findings as JSON

Every finding is a line: ok, warning or error, what was found, and what to do. The command ends with 2 if there is an
error, else with 0.
"""


def run(words: list[str]) -> int:
    """Examine the fit that these words would run, and print what was found.

    Returns:
        The exit code: 2 if there is an error among the findings, else 0.
    """
    if {"-h", "--help"} & set(words):
        print(_HELP, end="")
        return 0
    with importing():
        from lightning_clf.cli.examination import findings_of

    findings = findings_of([word for word in words if word != "--json"])
    counts = {level: sum(finding.level == level for finding in findings) for level in ("error", "warning", "ok")}
    if "--json" in words:
        print(
            json.dumps(
                {"findings": [finding._asdict() for finding in findings], **counts}, indent=2, ensure_ascii=False
            )
        )
    else:
        for finding in findings:
            print(finding)
        print(f"\n{counted(counts['error'], 'error')}, {counted(counts['warning'], 'warning')}")
    return 2 if counts["error"] else 0
