//! What minute counts say of windows, so that only the rest is read: mostly nothing, where windows begin and end on full minutes.
//!
//! Owns: which minutes of a stream are counted as one, and which rows are left. Does not own: the counts (`segment::minutes`).

use std::ops::Range;
use std::sync::atomic::Ordering;

use model::LabelSet;
use plan::pipeline::{Extractor, LineUse};
use segment::minutes::{Level, MINUTE_NS, MinuteCount};

use super::spans::{Span, Spans};
use super::windows::{Ask, Series, within_limits};
use super::{LogPart, LogScan, Piece};
use crate::EngineError;
use crate::context::QueryContext;

/// The windows of one minute.
#[derive(Clone, Copy)]
struct MinuteSpans {
    /// Of its first instant, where another window may end.
    start: Span,
    /// Of all that follows.
    rest: Span,
}

/// Windows of minutes that ascend.
struct MinuteWalk<'s> {
    spans: &'s Spans,
    last: Span,
}

impl MinuteWalk<'_> {
    fn span(&mut self, time: i64) -> Span {
        if self.last.until < time {
            self.last = self.spans.of(time);
        }
        self.last
    }

    /// Returns the windows of a minute; `None` where one begins or ends inside it.
    fn of(&mut self, minute: i64) -> Option<MinuteSpans> {
        let (start, rest) = (self.span(minute), self.span(minute.checked_add(1)?));
        (minute.saturating_add(MINUTE_NS - 1) <= rest.until).then_some(MinuteSpans { start, rest })
    }
}

/// Finds the series of the entries of one stream, by level.
struct SeriesOf<'a> {
    extractor: &'a Extractor,
    labels: &'a LabelSet,
    /// Where the stream alone decides.
    settled: Option<u32>,
    /// What was found of levels.
    known: Vec<(Level<'a>, Option<u32>)>,
}

impl<'a> SeriesOf<'a> {
    fn new(extractor: &'a Extractor, labels: &'a LabelSet, all: &mut Series) -> SeriesOf<'a> {
        let settled = extractor.series_of_stream(labels).map(|series| all.of(&series));
        SeriesOf { extractor, labels, settled, known: Vec::new() }
    }

    fn get(&mut self, level: Level<'a>, all: &mut Series) -> Option<u32> {
        if self.settled.is_some() {
            return self.settled;
        }
        if let Some((_, known)) = self.known.iter().find(|(known, _)| *known == level) {
            return *known;
        }
        let value = match level {
            Level::None => Some(None),
            Level::Value(value) => Some(Some(value)),
            Level::Mixed => None,
        };
        let series = value.and_then(|value| self.extractor.series_of_level(self.labels, value));
        let series = series.map(|series| all.of(&series));
        self.known.push((level, series));
        series
    }
}

impl Ask {
    /// Takes what minute counts answer out of a scan; returns it.
    ///
    /// # Errors
    /// Where more is held of it than a query may, or nobody waits for the answer any more.
    pub(crate) fn count_minutes(&self, context: &QueryContext, scan: &mut LogScan) -> Result<Series, EngineError> {
        let mut all = Series::default();
        if !self.adds_up() || self.extractor.line_use() == LineUse::Text {
            return Ok(all);
        }
        // By part and stream: the rows that are left to read, none where the counts say nothing.
        let mut left: Vec<Vec<Option<Vec<Range<u64>>>>> = Vec::with_capacity(scan.parts.len());
        for part in &scan.parts {
            left.push(self.count_part(scan, part, &mut all));
            within_limits(all.held(), context)?;
            if context.stop.load(Ordering::Relaxed) {
                return Err(EngineError::Cancelled);
            }
        }
        for piece in &mut scan.pieces {
            piece.leave(&left[piece.part as usize]);
        }
        scan.pieces.retain(|piece| !piece.chunk.runs.is_empty());
        Ok(all)
    }

    fn count_part(&self, scan: &LogScan, part: &LogPart, all: &mut Series) -> Vec<Option<Vec<Range<u64>>>> {
        let mut walk = MinuteWalk { spans: &self.spans, last: self.spans.of(i64::MIN) };
        let count = |stream: &super::LogStream| {
            if !scan.is_certain_stream(stream) {
                return None;
            }
            let minutes = part.open.index.minutes(&stream.entry)?;
            walk.last = self.spans.of(i64::MIN);
            let mut series = SeriesOf::new(&self.extractor, scan.labels(stream.number), all);
            let (mut left, mut at): (Vec<Range<u64>>, u64) = (Vec::new(), stream.entry.rows.start);
            for minute in minutes.chunk_by(|a, b| a.start == b.start) {
                let end = at + minute.iter().map(|count| count.rows).sum::<u64>();
                if self.count_minute(minute, &mut walk, &mut series, all).is_none() {
                    match left.last_mut() {
                        Some(last) if last.end == at => last.end = end,
                        _ => left.push(at..end),
                    }
                }
                at = end;
            }
            Some(left)
        };
        part.streams.iter().map(count).collect()
    }

    /// Counts a minute of a stream; `None` where that cannot be told.
    fn count_minute<'a>(
        &self,
        minute: &[MinuteCount<'a>],
        walk: &mut MinuteWalk<'_>,
        series: &mut SeriesOf<'a>,
        all: &mut Series,
    ) -> Option<()> {
        let MinuteSpans { start, rest } = walk.of(minute.first()?.start.0)?;
        let is_one = (start.first, start.end) == (rest.first, rest.end);
        let is_known = |count: &MinuteCount<'a>| (is_one || count.on_start.is_some()) && series.get(count.level, all).is_some();
        if !minute.iter().all(is_known) {
            return None;
        }
        for count in minute {
            let of = series.get(count.level, all)?;
            let on_start = count.on_start.filter(|_| !is_one).unwrap_or_default();
            for (span, rows, bytes) in
                [(start, on_start.0, on_start.1), (rest, count.rows - on_start.0, count.line_bytes - on_start.1)]
            {
                if rows > 0 && span.first < span.end {
                    all.add(of, span, if self.extractor.counts_bytes() { bytes } else { rows } as f64);
                }
            }
        }
        Some(())
    }
}

impl Piece {
    /// Leaves those rows of each stream that are still to be read; `left` has them by stream.
    fn leave(&mut self, left: &[Option<Vec<Range<u64>>>]) {
        if self.chunk.runs.iter().all(|(of, _)| left[*of as usize].is_none()) {
            return;
        }
        let runs = std::mem::take(&mut self.chunk.runs);
        self.chunk.runs = runs.into_iter().flat_map(|(of, rows)| cut(of, rows, left[of as usize].as_deref())).collect();
    }
}

/// Cuts a run to what is left of its stream.
fn cut(of: u32, rows: Range<u64>, left: Option<&[Range<u64>]>) -> Vec<(u32, Range<u64>)> {
    let Some(left) = left else { return vec![(of, rows)] };
    let inside = left.iter().map(|left| (of, left.start.max(rows.start)..left.end.min(rows.end)));
    inside.filter(|(_, rows)| rows.start < rows.end).collect()
}
