"""`vidette run`: the main job."""

import argparse
import sys
from pathlib import Path

from vidette.budget import tune_malloc
from vidette.cli.check import check_model_option, check_sink_options, checked_job
from vidette.cli.job_arguments import add_format_option, add_model_options, explicit_sinks, job_from_arguments
from vidette.cli.progress import Progress
from vidette.cli.signals import leave, stop_on_signal
from vidette.cli.summary import summary
from vidette.config import refuse_shared_paths
from vidette.engine import Engine
from vidette.errors import ConfigError, VidetteError
from vidette.job import Job, SinkRequest
from vidette.report import ReportCollector, check_writable, write_report

EPILOG = """\
examples:
  vidette run people.mp4                                      people.jsonl beside it
  vidette run people.mp4 --model yolo11n.onnx --sink out.jsonl --sink annotated.mp4 --sink out.csv
  vidette run a.mp4 b.mp4 folder/of/images sample:            many sources share one model and its batches
  vidette run rtsp://camera/stream --sink mqtt://broker/vidette/{stream}
  vidette run site.yaml --report report.html

sinks by ending or scheme: .jsonl .csv .mp4 .mkv  mqtt:// http:// https:// rtsp://  - for stdout
exit codes: 0 every frame came out, 1 something failed or was lost, 2 wrong usage, 130/143 stopped by Ctrl-C/SIGTERM
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Options of `vidette run`."""
    parser.epilog = EPILOG
    parser.add_argument("sources", nargs="+", metavar="SOURCE", help="videos, folders or globs of pictures, camera:0, "
                        "rtsp://..., testsrc:, sample:, or one site file (.yaml)")  # fmt: skip
    parser.add_argument(
        "--sink", action="append", metavar="TARGET", help="where results go; may be given several times"
    )
    add_format_option(parser)
    parser.add_argument("--report", metavar="FILE", action="append", default=[],
                        help="write the ledger of the run as .json, or as a page to look at as .html")  # fmt: skip
    parser.add_argument("--mode", choices=("auto", "live", "lossless"), default="auto",
                        help="lossless: every frame; live: always the newest; auto by kind of source")  # fmt: skip
    parser.add_argument("--fps-limit", type=float, metavar="FPS", help="at most so many frames per second of video")
    parser.add_argument("--quiet", action="store_true", help="say nothing unless something is wrong")
    add_model_options(parser)


def call(args: argparse.Namespace) -> int:
    """Run to the end, or until a signal. Returns the exit code."""
    tune_malloc()
    job = _job(args)
    for path in args.report:
        check_writable(Path(path))
    collector = ReportCollector() if any(path.lower().endswith((".html", ".htm")) for path in args.report) else None
    if collector is not None:
        job = Job(job.models, job.streams, [*job.sinks, SinkRequest(collector)])
    engine = Engine(job)
    with stop_on_signal(engine.request_stop) as codes:
        try:
            engine.start()
        except VidetteError:
            if not codes:
                raise
            leave(codes[0])
            return codes[0]
        progress = Progress(engine, args.quiet)
        if not args.quiet:
            for line in engine.plan_lines():
                print(f"vidette: {line}", file=sys.stderr)
        try:
            engine.wait(progress.tick)
        finally:
            engine.stop()
            progress.close()
        report = engine.report()
        for path in args.report:
            write_report(Path(path), report, collector)
        if not args.quiet:
            print(summary(report), file=sys.stderr)
        code = codes[0] if codes else 0 if engine.complete else 1
    leave(code)
    return code


def _job(args: argparse.Namespace) -> Job:
    if not any(source.lower().endswith((".yaml", ".yml")) for source in args.sources):
        job = job_from_arguments(args)
        check_model_option(job.models[0])
        check_sink_options(job)
        return job
    if len(args.sources) > 1:
        raise ConfigError("a site file names its streams itself; give it alone")
    if args.model is not None:
        raise ConfigError("a site file names its models itself; leave --model away")
    job = checked_job(Path(args.sources[0]))
    sinks = [*job.sinks, *(explicit_sinks(args) if args.sink else [])]
    refuse_shared_paths(sinks)
    job = Job(job.models, job.streams, sinks)
    check_sink_options(job)
    return job
