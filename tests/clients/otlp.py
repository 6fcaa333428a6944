"""Pushes the lines of files by OpenTelemetry's own SDK and exporter: one resource per file, a millisecond between lines."""

import os
import sys

from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.resources import Resource

BATCH = 1000


def push(url, start_ns, path):
    """Pushes one file; the queue is emptied before it can overflow."""
    exporter = OTLPLogExporter(endpoint=url + "/otlp/v1/logs", compression=Compression.Gzip)
    provider = LoggerProvider(resource=Resource({"service.name": os.path.basename(path), "client": "otlp"}))
    provider.add_log_record_processor(BatchLogRecordProcessor(exporter, max_queue_size=2 * BATCH, max_export_batch_size=BATCH))
    logger = provider.get_logger("tests/clients")
    pushed = 0
    with open(path, encoding="utf-8", errors="replace", newline="\n") as lines:
        for pushed, line in enumerate(lines, 1):
            logger.emit(
                LogRecord(
                    timestamp=start_ns + pushed * 1_000_000,
                    severity_number=SeverityNumber.INFO,
                    body=line.rstrip("\n"),
                    attributes={"line.number": pushed},
                )
            )
            if pushed % BATCH == 0:
                provider.force_flush()
    provider.shutdown()
    return pushed


def main():
    """Pushes every file."""
    url, start_ns, paths = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
    print("otlp:", sum(push(url, start_ns, path) for path in paths), "lines pushed")


main()
