//! What coarse copies hold, read through the segment readers, against windows of the plain model's samples. Pure.

use super::ledger::Samples;
use super::rows::{self, RowValue};
use bytes::Bytes;
use model::windowed::{self, Window};
use model::{LabelSet, Resolution, Signal, TimeRangeMs};
use segment::Fetched;
use segment::merge::touches;
use segment::windows::{Index, Projection, is_windows};
use std::collections::{BTreeMap, BTreeSet};

/// Resolutions of copies.
pub const COARSE: [Resolution; 2] = [Resolution::FiveMinutes, Resolution::OneHour];

/// What a copy holds of one series.
#[derive(Clone, PartialEq, Debug)]
pub enum Held {
    /// Windows, ascending.
    Windows(Vec<Window>),
    /// The samples themselves, where they are the smaller form.
    Samples(BTreeMap<i64, RowValue>),
    /// Of native histograms those that matter; windows in another part count all of them.
    Thinned(BTreeMap<i64, RowValue>),
}

/// What a copy holds, by encoded labels.
pub type Content = BTreeMap<Vec<u8>, Held>;

/// Names the ranges of a series that are deleted.
pub type Erased<'a> = dyn Fn(&LabelSet) -> Vec<TimeRangeMs> + 'a;

/// Reads a part of a copy, without what is deleted, into what is known of the whole.
pub fn read(object: &Bytes, erased: &Erased<'_>, into: &mut Content) -> Result<(), String> {
    let held = if is_windows(object, 0) { read_windows(object) } else { read_samples(object) };
    for (labels, held) in held.map_err(|error| error.to_string())? {
        let ranges = erased(&label_set(&labels));
        let left = match (into.remove(&labels), held.without(&ranges)) {
            (None, left) => left,
            (Some(Held::Thinned(some)), Held::Samples(more) | Held::Thinned(more))
            | (Some(Held::Samples(some)), Held::Thinned(more)) => Held::Thinned(some.into_iter().chain(more).collect()),
            (Some(_), _) => return Err(format!("series {} lies in two parts", label_set(&labels))),
        };
        if !left.is_empty() {
            into.insert(labels, left);
        }
    }
    Ok(())
}

fn read_windows(object: &Bytes) -> Result<Content, segment::SegmentError> {
    let index = Index::open_tail(object, 0)?;
    let fetched = Fetched::whole(object.clone());
    let windows = |ordinal: u32| {
        let columns = index.decode_ordinals(&[ordinal], Projection::ALL, &fetched)?;
        let thinned = index.is_of_histograms(ordinal);
        let held = if thinned { Held::Thinned(BTreeMap::new()) } else { Held::Windows(columns.windows) };
        Ok((index.labels(ordinal).encoded().to_vec(), held))
    };
    (0..index.series_len() as u32).map(windows).collect()
}

fn read_samples(object: &Bytes) -> Result<Content, segment::SegmentError> {
    let mut series: BTreeMap<Vec<u8>, BTreeMap<i64, RowValue>> = BTreeMap::new();
    for row in rows::read(Signal::Metrics, object)? {
        let Some((labels, _)) = rows::labels_and_line(&row.key) else { continue };
        series.entry(labels.encoded().to_vec()).or_default().insert(row.at_ms, row.value);
    }
    Ok(series.into_iter().map(|(labels, samples)| (labels, Held::Samples(samples))).collect())
}

impl Held {
    /// A deletion takes windows as wholes, and samples one by one.
    fn without(self, ranges: &[TimeRangeMs]) -> Held {
        match self {
            Held::Windows(windows) => Held::Windows(windows.into_iter().filter(|window| !touches(window, ranges)).collect()),
            Held::Samples(samples) => Held::Samples(samples.into_iter().filter(|(at, _)| !is_in(*at, ranges)).collect()),
            Held::Thinned(samples) => Held::Thinned(samples.into_iter().filter(|(at, _)| !is_in(*at, ranges)).collect()),
        }
    }

    fn is_empty(&self) -> bool {
        match self {
            Held::Windows(windows) => windows.is_empty(),
            Held::Samples(samples) => samples.is_empty(),
            // The part with its samples may come after that with its windows.
            Held::Thinned(_) => false,
        }
    }
}

/// Compares a copy with the samples it was made of, less what was deleted from the copy since; returns how they differ.
pub fn differ(content: &Content, samples: &Samples, width_ms: i64, erased: &Erased<'_>) -> Option<String> {
    for (labels, held) in content {
        let name = label_set(labels);
        let Some(samples) = samples.get(labels) else { return Some(format!("{name} is held and was never written")) };
        let ranges = erased(&name);
        if !is_kept(held, samples, width_ms, &ranges) {
            return Some(format!("{name} is held as {held:?} of {samples:?} less {ranges:?}"));
        }
    }
    samples.iter().filter(|(labels, _)| !content.contains_key(*labels)).find_map(|(labels, samples)| {
        let name = label_set(labels);
        // Nobody knows in which form it was held: it may be gone if it is gone in one of them.
        let ranges = erased(&name);
        let as_windows = windows_of(samples, width_ms).map(|windows| Held::Windows(windows).without(&ranges));
        let left = samples.keys().any(|at| !may_go(*at, samples, width_ms, &ranges));
        let left = left && as_windows.is_none_or(|windows| !windows.is_empty());
        left.then(|| format!("{name} is not held: {samples:?}"))
    })
}

/// Reports whether what is held is what was written: nothing that was deleted, everything that no deletion comes near, each to the bit,
/// but for sums that adding up rounds anyway, and the variance.
fn is_kept(held: &Held, samples: &BTreeMap<i64, RowValue>, width_ms: i64, ranges: &[TimeRangeMs]) -> bool {
    let is_written = |(at, value): (&i64, &RowValue)| !is_in(*at, ranges) && samples.get(at) == Some(value);
    match held {
        Held::Windows(windows) => {
            let Some(whole) = windows_of(samples, width_ms) else { return false };
            let hit: BTreeSet<i64> =
                samples.keys().filter(|at| is_in(**at, ranges)).map(|at| windowed::end_of(*at, width_ms)).collect();
            let whole: BTreeMap<i64, &Window> = whole.iter().map(|window| (window.end, window)).collect();
            let is_whole = |held: &Window| {
                let expected = whole.get(&held.end).filter(|_| !hit.contains(&held.end));
                expected.is_some_and(|expected| line(expected) == line(held) && sums_are_kept(expected, held))
            };
            let ends: BTreeSet<i64> = windows.iter().map(|window| window.end).collect();
            ends.len() == windows.len()
                && windows.iter().all(is_whole)
                && whole.values().filter(|window| !touches(window, ranges)).all(|window| ends.contains(&window.end))
        }
        Held::Samples(kept) => {
            let needed = samples.keys().filter(|at| !may_go(**at, samples, width_ms, ranges));
            kept.iter().all(is_written) && needed.into_iter().all(|at| kept.contains_key(at))
        }
        // Which of them matter, the arithmetic's own tests say.
        Held::Thinned(kept) => kept.iter().all(is_written),
    }
}

fn is_in(at: i64, ranges: &[TimeRangeMs]) -> bool {
    ranges.iter().any(|range| range.start.0 <= at && at < range.end.0)
}

/// Reports whether a deletion may take a sample along: of a series with histograms it takes whole windows, which may count them.
fn may_go(at: i64, samples: &BTreeMap<i64, RowValue>, width_ms: i64, ranges: &[TimeRangeMs]) -> bool {
    let end = windowed::end_of(at, width_ms);
    let has_histograms = || samples.values().any(|value| matches!(value, RowValue::Histogram(_)));
    is_in(at, ranges) || touches(&Window::empty(end - width_ms, end), ranges) && has_histograms()
}

/// Returns the windows of a series, unless it has histograms.
pub fn windows_of(samples: &BTreeMap<i64, RowValue>, width_ms: i64) -> Option<Vec<Window>> {
    let number = |value: &RowValue| match value {
        RowValue::Number(bits) => Some(f64::from_bits(*bits)),
        RowValue::Histogram(_) => None,
    };
    let values: Vec<f64> = samples.values().map(number).collect::<Option<_>>()?;
    let timestamps: Vec<i64> = samples.keys().copied().collect();
    Some(windowed::windows(width_ms, &timestamps, &values))
}

/// A segment tells one quantum of all windows of a series: by it a sum is exact or not, of what is held and of what should be.
fn sums_are_kept(expected: &Window, held: &Window) -> bool {
    let expected = Window { quantum: held.quantum, sum: expected.total(), compensation: 0.0, ..*expected };
    let verdicts = |of: &Window| (of.count > 0 && of.sum_is_exact(), of.count > 0 && of.increase_is_exact());
    let spread = held.count as f64 * held.min.abs().max(held.max.abs());
    let near = |a: f64, b: f64, is_exact: bool| bits(a) == bits(b) || !is_exact && (a - b).abs() <= 1e-6 * spread;
    let (sum, lost) = verdicts(held);
    held.count == 0
        || verdicts(&expected) == (sum, lost) && near(held.sum, expected.sum, sum) && near(held.lost, expected.lost, lost)
}

/// What is compared of a window to the bit.
fn line(of: &Window) -> String {
    if of.count == 0 {
        return format!("..{} stale at {}", of.end, of.stale_at);
    }
    let [first, last, min, max] = [of.first, of.last, of.min, of.max].map(bits);
    format!(
        "..{} {} samples, {first} at {}, {last} at {}, {min} to {max}, {} resets, {} changes, stale at {}",
        of.end, of.count, of.first_at, of.last_at, of.resets, of.changes, of.stale_at
    )
}

/// The bits of a number; NaN is NaN.
fn bits(value: f64) -> String {
    if value.is_nan() { "NaN".to_owned() } else { format!("{value}/{:x}", value.to_bits()) }
}

/// Returns the label set of encoded labels.
pub fn label_set(labels: &[u8]) -> LabelSet {
    LabelSet::from_encoded(labels).unwrap_or(LabelSet::empty())
}
