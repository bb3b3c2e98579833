"""What a file compiled ahead of time was compiled from, as one digest that stands beside the file's own in the manifest.

A blob belongs to one segment (or to those that it was joined from), its weights, and a runtime with its options: beside any other it may
compute something else without an error, so a reader makes the digest again from the manifest and compares. Versions have a check of their
own, against those that are here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence

from ..manifest import SEGMENTS, FileRecord
from ..plan_records import SegmentRecord
from ..weights import WEIGHTS


def joined_digest(segments: Sequence[SegmentRecord], files: Mapping[str, FileRecord]) -> str:
    """Of a blob that several segments have: sha256 of the JSON text of a list of their digests, in the order of their files."""
    each = [source_digest(segment, files) for segment in sorted(segments, key=lambda segment: segment.file)]
    return each[0] if len(each) == 1 else hashlib.sha256(json.dumps(each, separators=(",", ":")).encode()).hexdigest()


def source_digest(segment: SegmentRecord, files: Mapping[str, FileRecord]) -> str:
    """sha256 of the JSON text `["SEGMENT","WEIGHTS","ADAPTER",["OPTION",…]]`, UTF-8 without spaces: the first two are sha256 of the files,
    of which the segment must be among `files`."""
    runtime, weights = segment.runtime, files.get(f"{SEGMENTS}/{WEIGHTS}")
    facts = [files[segment.file].sha256, weights and weights.sha256, runtime.adapter, list(runtime.options)]
    return hashlib.sha256(json.dumps(facts, separators=(",", ":"), ensure_ascii=False).encode()).hexdigest()
