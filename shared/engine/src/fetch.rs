//! What is read from objects for a query: tails first, then byte ranges.
//!
//! Owns: which parts are opened, how many requests that takes, and what a corrupt segment means (S2: named, and left out).
//! Does not own: the formats (`segment`).

use std::ops::Range;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, Weak};

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use manifest::{Deletion, Location, Part};
use model::{EntryFilter, LabelSet, Matcher, Signal, TimeRangeMs, TimestampMs};
use segment::stats::LabelFilter;
use segment::{Fetched, SegmentError, SegmentStats, fetched, logs, metrics};
use store::objects::{ObjectPath, ObjectStoreExt};

use crate::EngineError;
use crate::cache::Cache;
use crate::context::QueryContext;
use crate::limits::{GAP_BYTES_MAX, WHOLE_OBJECT_BYTES_MAX};
use crate::registry::{Names, Numbers};

/// An index that lies in the tail of a segment.
pub(crate) trait Tail: Clone + Send + Sync {
    fn open(tail: &Bytes, tail_offset: u64) -> Result<Self, SegmentError>;
    fn memory_bytes(&self) -> usize;
}

/// The index of a metrics segment, and the numbers of those series that queries have asked for.
#[derive(Clone, Debug)]
pub(crate) struct MetricTail {
    pub(crate) index: metrics::Index,
    /// Whose numbers they are, and the numbers.
    numbers: Arc<Mutex<(Weak<Names>, Numbers)>>,
}

impl MetricTail {
    /// Returns the numbers of some series. Only they are looked up: a fresh segment may hold every series of a tenant.
    fn numbers(&self, names: &Arc<Names>, ordinals: &[u32]) -> Vec<u32> {
        self.known(names, |known| names.number(&self.index, ordinals, known))
    }

    /// Returns the numbers of those pairs with a label name that some series have, each once.
    pub(crate) fn pairs_of(&self, context: &QueryContext, names: &Arc<Names>, name: &str, ordinals: &[u32]) -> Vec<u32> {
        let pairs = self.index.pairs_of(name, ordinals);
        let number = |known: &mut Numbers| names.number_pairs(&self.index, &pairs, known);
        match context.is_federated() {
            false => self.known(names, number),
            true => number(&mut Numbers::of(&self.index)),
        }
    }

    fn known<R>(&self, names: &Arc<Names>, ask: impl FnOnce(&mut Numbers) -> R) -> R {
        let mut known = self.numbers.lock().expect("no call panics while it holds the lock");
        if !std::ptr::eq(known.0.as_ptr(), Arc::as_ptr(names)) {
            *known = (Arc::downgrade(names), Numbers::of(&self.index));
        }
        ask(&mut known.1)
    }

    /// Returns the numbers of some series by the labels that an answer shows.
    pub(crate) fn numbers_for(&self, context: &QueryContext, names: &Arc<Names>, ordinals: &[u32]) -> Vec<u32> {
        match context.is_federated() {
            false => self.numbers(names, ordinals),
            true => names.number_as(&self.index, ordinals, |labels| context.labelled(labels)),
        }
    }
}

impl Tail for MetricTail {
    fn open(tail: &Bytes, tail_offset: u64) -> Result<Self, SegmentError> {
        Ok(MetricTail { index: metrics::Index::open_tail(tail, tail_offset)?, numbers: Arc::default() })
    }
    fn memory_bytes(&self) -> usize {
        self.index.memory_bytes() + 4 * (self.index.series_len() + self.index.pairs_len())
    }
}

impl Tail for logs::Index {
    fn open(tail: &Bytes, tail_offset: u64) -> Result<Self, SegmentError> {
        logs::Index::open_tail(tail, tail_offset)
    }
    fn memory_bytes(&self) -> usize {
        logs::Index::memory_bytes(self)
    }
}

/// A segment with its index open.
#[derive(Clone, Debug)]
pub(crate) struct OpenPart<T> {
    pub(crate) part: Part,
    /// What it was found under in caches.
    pub(crate) name: String,
    /// Rows to be left out.
    pub(crate) deletions: Vec<Deletion>,
    pub(crate) index: T,
    /// The whole object, where it is inline or was small enough to be read at once.
    pub(crate) whole: Option<Bytes>,
}

/// What a deletion leaves out of a stream: the entries of a range, or of those only what a filter accepts.
#[derive(Debug)]
pub(crate) struct Erasure {
    pub(crate) range: TimeRangeMs,
    pub(crate) filter: Option<EntryFilter>,
}

impl<T> OpenPart<T> {
    /// Returns what deletions leave out of a stream.
    pub(crate) fn erasures(&self, context: &QueryContext, stream: &LabelSet) -> Vec<Erasure> {
        let selects = |deletion: &&Deletion| deletion.request.selects(stream);
        let erasure = |of: &Deletion| Erasure { range: of.request.range, filter: context.filter_of(of).cloned() };
        self.deletions.iter().filter(selects).map(erasure).collect()
    }

    /// Reports whether a deletion leaves out what a series has at a time.
    pub(crate) fn erases_at(&self, labels: &LabelSet, at: TimestampMs) -> bool {
        self.deletions.iter().map(|deletion| &deletion.request).any(|request| {
            let within = request.range.start <= at && at < request.range.end;
            within && request.selects(labels)
        })
    }

    /// Reports whether a deletion leaves nothing of a series or stream, which covers `own`, inside `range`.
    pub(crate) fn erases(&self, labels: &LabelSet, own: TimeRangeMs, range: TimeRangeMs) -> bool {
        let (start, end) = (own.start.max(range.start), own.end.min(range.end));
        self.deletions.iter().map(|deletion| &deletion.request).any(|request| {
            let all = request.range.start <= start && end <= request.range.end && request.filter.is_none();
            all && request.selects(labels)
        })
    }
}

/// Returns the parts that may hold something the matchers accept inside `range`, and counts them.
pub(crate) fn prune<'p>(
    context: &QueryContext,
    signal: Signal,
    parts: &'p [Part],
    matchers: &[Matcher],
    range: TimeRangeMs,
) -> Vec<&'p Part> {
    let kept: Vec<&Part> = parts.iter().filter(|part| may_match(signal, part, matchers, range)).collect();
    context.counters.segments_considered.fetch_add(parts.len() as u64, Ordering::Relaxed);
    context.counters.segments_pruned.fetch_add((parts.len() - kept.len()) as u64, Ordering::Relaxed);
    kept
}

fn may_match(signal: Signal, part: &Part, matchers: &[Matcher], range: TimeRangeMs) -> bool {
    let Ok(filter) = LabelFilter::from_bytes(part.stats.names.to_vec()) else { return true };
    let stats = SegmentStats {
        signal,
        rows: part.stats.rows,
        series: u64::from(part.stats.series),
        range: part.stats.time_range,
        slots: part.stats.slots,
        filter,
    };
    stats.may_match(matchers, range)
}

/// What a part is opened for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Want {
    /// Its rows too: a small object is read whole.
    Rows,
    /// Its index alone.
    Index,
}

/// Opens the tails of the parts, in order. A corrupt one is named in a warning and left out.
pub(crate) async fn open_parts<T: Tail>(
    context: &QueryContext,
    cache: &Cache<T>,
    parts: Vec<&Part>,
    want: Want,
) -> Result<Vec<OpenPart<T>>, EngineError> {
    // Futures first, then the stream: a closure inside a stream is not general enough over lifetimes.
    let opens: Vec<_> = parts.into_iter().map(|part| open_part(context, cache, part, want)).collect();
    let opened: Vec<Option<OpenPart<T>>> = stream::iter(opens).buffered(context.fetches_in_flight.max(1)).try_collect().await?;
    let opened: Vec<OpenPart<T>> = opened.into_iter().flatten().collect();
    context.counters.segments_opened.fetch_add(opened.len() as u64, Ordering::Relaxed);
    Ok(opened)
}

async fn open_part<T: Tail>(
    context: &QueryContext,
    cache: &Cache<T>,
    part: &Part,
    want: Want,
) -> Result<Option<OpenPart<T>>, EngineError> {
    let name = part_name(context, part);
    let opened = |index, whole| {
        let (part, name, deletions) = (part.clone(), name.clone(), context.deletions_for(part));
        OpenPart { part, name, deletions, index, whole }
    };
    if let Some(index) = cache.get(&name) {
        context.counters.tails_cached.fetch_add(1, Ordering::Relaxed);
        let whole = inline_bytes(&part.location);
        return Ok(Some(opened(index, whole)));
    }
    let (tail, offset, whole) = match &part.location {
        Location::Inline(bytes) => (bytes.clone(), 0, Some(bytes.clone())),
        Location::Object { key, len } if want == Want::Rows && *len <= WHOLE_OBJECT_BYTES_MAX => {
            let bytes = get(context, key, 0..*len).await?;
            (bytes.clone(), 0, Some(bytes))
        }
        Location::Object { key, len } => (get(context, key, part.tail_offset.min(*len)..*len).await?, part.tail_offset, None),
    };
    match T::open(&tail, offset) {
        Ok(index) => {
            cache.insert(&name, index.clone(), index.memory_bytes() + name.len());
            Ok(Some(opened(index, whole)))
        }
        Err(error) => {
            warn_corrupt(context, part, &error);
            Ok(None)
        }
    }
}

fn inline_bytes(location: &Location) -> Option<Bytes> {
    match location {
        Location::Inline(bytes) => Some(bytes.clone()),
        Location::Object { .. } => None,
    }
}

fn part_name(context: &QueryContext, part: &Part) -> String {
    match &part.location {
        Location::Object { key, .. } => key.clone(),
        Location::Inline(_) => format!("{}/inline/{}", context.tenant, part.id),
    }
}

/// Names a segment that could not be read; the rest of the answer stands (S2).
pub(crate) fn warn_corrupt(context: &QueryContext, part: &Part, error: &SegmentError) {
    let name = part_name(context, part);
    context.note_corrupt(part);
    tracing::error!(tenant = %context.tenant, segment = %name, %error, "segment is left out of an answer");
    context.annotations.warn(format!("segment {name} is left out: {error}"));
}

/// Reads the byte ranges of a part, coalesced.
pub(crate) async fn read_ranges<T>(
    context: &QueryContext,
    part: &OpenPart<T>,
    ranges: Vec<Range<u64>>,
) -> Result<Fetched, EngineError> {
    if let Some(whole) = &part.whole {
        return Ok(Fetched::whole(whole.clone()));
    }
    let Location::Object { key, .. } = &part.part.location else {
        return Err(EngineError::Internal("an inline part has no bytes".into()));
    };
    let reads: Vec<_> = fetched::coalesce(ranges, GAP_BYTES_MAX).into_iter().map(|range| get_at(context, key, range)).collect();
    let reads = stream::iter(reads).buffer_unordered(context.fetches_in_flight.max(1));
    let parts: Vec<(u64, Bytes)> = reads.try_collect().await?;
    Ok(Fetched::parts(parts))
}

async fn get_at(context: &QueryContext, key: &str, range: Range<u64>) -> Result<(u64, Bytes), EngineError> {
    let start = range.start;
    get(context, key, range).await.map(|bytes| (start, bytes))
}

pub(crate) async fn get(context: &QueryContext, key: &str, range: Range<u64>) -> Result<Bytes, EngineError> {
    context.count_request()?;
    let _place = context.place(&context.reads).await?;
    let path = ObjectPath::from(key);
    let bytes = match context.objects.get_range(&path, range.clone()).await {
        Ok(bytes) => bytes,
        // What ends before the range begins was cut short: an empty answer, which whoever parses it names as corrupt (S2).
        Err(_) if ends_before(context, &path, range.start).await? => Bytes::new(),
        Err(source) => return Err(EngineError::Object { key: key.to_owned(), source }),
    };
    context.counters.bytes_read.fetch_add(bytes.len() as u64, Ordering::Relaxed);
    Ok(bytes)
}

/// Reports whether an object is there, but too short to have anything at `offset`; stores have no common error for that.
async fn ends_before(context: &QueryContext, path: &ObjectPath, offset: u64) -> Result<bool, EngineError> {
    context.count_request()?;
    Ok(context.objects.head(path).await.is_ok_and(|object| object.size <= offset))
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use model::{Limits, TenantId};
    use plan::EvalOptions;

    use super::*;
    use crate::context::Query;

    #[tokio::test]
    async fn the_tenants_of_a_question_share_its_places() {
        let tenants = ["a", "b"].map(|name| TenantId::parse(name).unwrap());
        let objects = store::objects::memory();
        objects.put(&ObjectPath::from("k"), Bytes::from_static(b"bytes").into()).await.unwrap();
        let contexts = Query::new(&objects, &Limits::default(), EvalOptions::default(), 1).about(&tenants);
        let place = contexts[0].place(&contexts[0].reads).await.unwrap();
        let mut read = Box::pin(get(&contexts[1], "k", 1..3));
        assert!((&mut read).now_or_never().is_none(), "there is no place");
        drop(place);
        assert_eq!(read.await.unwrap(), "yt");
    }
}
