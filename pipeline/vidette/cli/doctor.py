"""`vidette doctor`: look at the installation."""

import argparse
import dataclasses
import json

EPILOG = """\
examples:
  vidette doctor            one line per fact; what is missing or doubled comes with what to type
  vidette doctor --json     the same for programs

exit codes: 0 all can work, 1 something cannot
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Options of `vidette doctor`."""
    parser.epilog = EPILOG
    parser.add_argument("--json", action="store_true", help="print JSON")


def call(args: argparse.Namespace) -> int:
    """Print the diagnosis; 1 when something fails."""
    from vidette.doctor import diagnose
    from vidette.installation import gather

    findings = diagnose(gather())
    if args.json:
        print(json.dumps([dataclasses.asdict(finding) for finding in findings], indent=2))
    else:
        for finding in findings:
            print(f"{finding.level:4}  {finding.what}")
            if finding.advice:
                print(f"      -> {finding.advice}")
    return 1 if any(finding.level == "fail" for finding in findings) else 0
