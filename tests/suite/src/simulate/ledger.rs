//! The plain model: what was committed and acknowledged, and what must therefore be visible. Pure.

use super::rows::{self, Row, RowKey, RowValue};
use manifest::Deletion;
use model::{LabelSet, SegmentId};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// Time after the last deletion of an item in which its id must not become visible again, ms. The protocol keeps replaced ids
/// for 40 minutes from one collection to another, whose clocks may be wrong by two each.
pub const ID_KEPT_MS: i64 = 26 * 60_000;

/// A row of an account.
pub type RowId = u32;

/// Everything known of one tenant and signal.
#[derive(Debug, Default)]
pub struct Account {
    numbers: HashMap<RowKey, u32>,
    keys: Vec<Key>,
    /// Per key, the winning value among committed rows.
    committed: Vec<Option<RowValue>>,
    rows: HashMap<(u32, RowValue), RowId>,
    row_places: Vec<(u32, RowValue)>,
    /// Per row, the commits it came in: it may be listed so often, and not more.
    copies: Vec<Vec<Copied>>,
    erasures: Vec<Erasure>,
    segments: HashMap<String, Arc<[RowId]>>,
    parts: HashMap<SegmentId, Arc<[RowId]>>,
    items: HashMap<(i64, SegmentId), Item>,
    /// Days that retention dropped.
    pub dropped: BTreeSet<i64>,
    /// Keys whose winner only damaged segments held.
    damaged: BTreeSet<u32>,
    /// Segments damaged on purpose.
    pub damaged_segments: BTreeSet<String>,
    /// Keys of samples that went with a merge of replicas, in the order in which they went.
    released: Vec<u32>,
    commits: usize,
    acknowledged: u64,
}

/// What a key says.
#[derive(Debug)]
struct Key {
    labels: LabelSet,
    at_ms: i64,
    is_sample: bool,
    /// Of an entry.
    line: Vec<u8>,
}

#[derive(Debug)]
struct Item {
    rows: Arc<[RowId]>,
    gone_at_ms: Option<i64>,
}

/// One commit of a row.
#[derive(Clone, Copy, Debug)]
struct Copied {
    minted_at_ms: i64,
    at_ms: i64,
    /// Its id was still listed as replaced, though it need not be any more: it is listed once that is forgotten, if it is. Or it lost an
    /// election and went.
    hidden: bool,
}

/// A deletion, and the true time at which its record was there.
#[derive(Debug)]
struct Erasure {
    deletion: Deletion,
    at_ms: i64,
}

/// What becomes of a copy by the deletions: of one that was on its way while the deletion was recorded either is right.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Fate {
    Gone,
    Either,
    Kept,
}

/// What an account had committed at one moment, and the deletions there were.
#[derive(Clone, Debug)]
pub struct Since {
    committed: Vec<Option<RowValue>>,
    erasures: usize,
    released: usize,
}

/// Samples of series by encoded labels: per time the value that wins.
pub type Samples = BTreeMap<Vec<u8>, BTreeMap<i64, RowValue>>;

/// What a snapshot shows: per part, its name and rows.
pub type Shown = [(String, Arc<[RowId]>)];

impl Account {
    /// Counts acknowledged rows.
    pub fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    /// Returns what is committed now.
    pub fn since(&self) -> Since {
        Since { committed: self.committed.clone(), erasures: self.erasures.len(), released: self.released.len() }
    }

    /// Tells apart what was written, deleted and dropped by one moment from what was by another.
    pub fn age(&self) -> (usize, usize, usize) {
        (self.commits, self.erasures.len(), self.dropped.len())
    }

    /// Samples went with a merge of replicas: of their keys no more is required than what is still shown.
    pub fn release(&mut self, gone: &[RowKey], shown: &Shown) {
        let keys: BTreeSet<u32> = gone.iter().filter_map(|key| self.numbers.get(key)).copied().collect();
        let shown: BTreeSet<RowId> = shown.iter().flat_map(|(_, rows)| rows.iter().copied()).collect();
        keys.iter().for_each(|key| self.committed[*key as usize] = None);
        for (row, (key, value)) in self.row_places.iter().enumerate().filter(|(_, (key, _))| keys.contains(key)) {
            match shown.contains(&(row as RowId)) {
                true => raise(&mut self.committed[*key as usize], value),
                false => self.copies[row].iter_mut().for_each(|copy| copy.hidden = true),
            }
        }
        self.released.extend(keys);
    }

    /// Returns the rows of a segment that was read before.
    pub fn segment(&self, name: &str) -> Option<Arc<[RowId]>> {
        self.segments.get(name).cloned()
    }

    /// Returns the rows of a part that was read before.
    pub fn part(&self, id: SegmentId) -> Option<Arc<[RowId]>> {
        self.parts.get(&id).cloned()
    }

    /// Enters the rows of a segment.
    pub fn enter_segment(&mut self, name: &str, id: SegmentId, rows: Vec<Row>) -> Arc<[RowId]> {
        let ids: Arc<[RowId]> = rows.into_iter().map(|row| self.enter(row)).collect();
        self.segments.insert(name.to_owned(), ids.clone());
        self.parts.insert(id, ids.clone());
        ids
    }

    /// Returns the samples among rows: per series and time the value that wins.
    pub fn samples<'a>(&self, rows: impl IntoIterator<Item = &'a RowId>) -> Samples {
        let mut samples = Samples::new();
        for row in rows {
            let (key, value) = &self.row_places[*row as usize];
            let Key { labels, at_ms, is_sample, .. } = &self.keys[*key as usize];
            if *is_sample {
                let winner = samples.entry(labels.encoded().to_vec()).or_default().entry(*at_ms).or_insert_with(|| value.clone());
                *winner = winner.clone().max(value.clone());
            }
        }
        samples
    }

    /// Reports whether a row was committed at a moment and is nowhere damaged.
    pub fn was_committed(&self, row: RowId, at_ms: i64) -> bool {
        let is_damaged = self.damaged.contains(&self.row_places[row as usize].0);
        !is_damaged && self.copies[row as usize].iter().any(|copy| !copy.hidden && copy.at_ms <= at_ms)
    }

    /// Returns the deletions on record, or that were.
    pub fn deletions(&self) -> impl Iterator<Item = &Deletion> {
        self.erasures.iter().map(|erasure| &erasure.deletion)
    }

    /// Reports whether a row that somebody wrote lies in a day whose raw data was dropped: a copy of it may be answered.
    pub fn is_of_dropped_day(&self, key: &RowKey, value: &RowValue) -> bool {
        let Some(number) = self.numbers.get(key) else { return false };
        let day = self.keys[*number as usize].at_ms.div_euclid(86_400_000);
        self.dropped.contains(&day) && self.rows.contains_key(&(*number, value.clone()))
    }

    fn enter(&mut self, row: Row) -> RowId {
        let key = match self.numbers.get(&row.key) {
            Some(key) => *key,
            None => {
                let (labels, line) = rows::labels_and_line(&row.key).unwrap_or((LabelSet::empty(), &[]));
                let is_sample = rows::is_sample(&row.key);
                self.keys.push(Key { labels, at_ms: row.at_ms, is_sample, line: line.to_vec() });
                self.committed.push(None);
                let key = self.keys.len() as u32 - 1;
                self.numbers.insert(row.key, key);
                key
            }
        };
        *self.rows.entry((key, row.value.clone())).or_insert_with(|| {
            self.row_places.push((key, row.value));
            self.copies.push(Vec::new());
            self.copies.len() as u32 - 1
        })
    }

    /// An item was put where none was. Its rows may be listed once more, unless its id came back too soon (W2).
    pub fn commit(&mut self, hour: i64, id: SegmentId, rows: &Arc<[RowId]>, minted_at_ms: Option<i64>, now_ms: i64) {
        let counts = match self.items.get(&(hour, id)) {
            None => true,
            Some(item) => item.gone_at_ms.is_some_and(|at| now_ms - at > ID_KEPT_MS),
        };
        if counts {
            self.commits += 1;
            for row in rows.iter() {
                let (hidden, minted_at_ms) = (minted_at_ms.is_none(), minted_at_ms.unwrap_or(now_ms));
                self.copies[*row as usize].push(Copied { minted_at_ms, at_ms: now_ms, hidden });
                let (key, value) = &self.row_places[*row as usize];
                // What is hidden was shown before; since then it may have lost an election.
                if !hidden {
                    raise(&mut self.committed[*key as usize], value);
                }
            }
        }
        self.items.insert((hour, id), Item { rows: rows.clone(), gone_at_ms: None });
    }

    /// Deletions are on record; returns how many were not before.
    pub fn enter_deletions(&mut self, deletions: Vec<Deletion>, at_ms: i64) -> u64 {
        let before = self.erasures.len();
        for deletion in deletions {
            if self.erasures.iter().all(|known| known.deletion.id != deletion.id) {
                self.erasures.push(Erasure { deletion, at_ms });
            }
        }
        (self.erasures.len() - before) as u64
    }

    /// Reports whether a deletion names a row.
    pub fn is_named(&self, row: RowId, deletion: &Deletion) -> bool {
        self.names(self.row_places[row as usize].0, deletion)
    }

    fn names(&self, key: u32, deletion: &Deletion) -> bool {
        let (key, range) = (&self.keys[key as usize], deletion.request.range);
        let accepts = |matcher: &model::Matcher| matcher.matches(key.labels.get(matcher.name()).unwrap_or(""));
        let within = (range.start.0..range.end.0).contains(&key.at_ms);
        within && deletion.request.matchers.iter().all(accepts) && is_accepted(&key.line, deletion.request.filter.as_deref())
    }

    /// Returns the best that may become of a row by the first `erasures` deletions.
    fn fate(&self, row: usize, erasures: usize) -> Fate {
        let naming: Vec<&Erasure> =
            self.erasures[..erasures].iter().filter(|of| self.is_named(row as u32, &of.deletion)).collect();
        let fate_of = |copy: &Copied| {
            let by = |of: &&Erasure| match () {
                () if copy.minted_at_ms <= of.deletion.requested_at.0 => Fate::Gone,
                () if copy.at_ms > of.at_ms => Fate::Kept,
                () => Fate::Either,
            };
            let best = if copy.hidden { Fate::Either } else { Fate::Kept };
            naming.iter().map(by).min().unwrap_or(Fate::Kept).min(best)
        };
        self.copies[row].iter().map(fate_of).max().unwrap_or(Fate::Gone)
    }

    /// Returns per key what must at least be shown.
    fn required(&self) -> Vec<Option<RowValue>> {
        let mut required = vec![None; self.committed.len()];
        for (row, (key, value)) in self.row_places.iter().enumerate() {
            if self.fate(row, self.erasures.len()) == Fate::Kept {
                raise(&mut required[*key as usize], value);
            }
        }
        required
    }

    /// An item was deleted.
    pub fn item_gone(&mut self, hour: i64, id: SegmentId, now_ms: i64) {
        if let Some(item) = self.items.get_mut(&(hour, id)) {
            item.gone_at_ms = Some(now_ms);
        }
    }

    /// Returns the rows that an item had when it was last put.
    pub fn item_rows(&self, hour: i64, id: SegmentId) -> Option<Arc<[RowId]>> {
        self.items.get(&(hour, id)).map(|item| item.rows.clone())
    }

    /// A write was acknowledged: each of its rows, or one that wins over it, is committed (W1).
    pub fn acknowledge(&mut self, rows: &[Row]) -> Option<String> {
        self.acknowledged += rows.len() as u64;
        let mut kept = rows.iter().filter(|row| !self.dropped.contains(&row.hour().div_euclid(24)));
        let lost = kept.find(|row| !self.is_there(row));
        lost.map(|row| format!("W1: a row of hour {} was acknowledged before it was committed", row.hour()))
    }

    fn is_there(&self, row: &Row) -> bool {
        let Some(key) = self.numbers.get(&row.key) else { return false };
        // A write that repeats what was deleted finds its id still known: it changes nothing (W2).
        let is_erased = self.erasures.iter().any(|of| self.names(*key, &of.deletion));
        is_erased || self.committed[*key as usize].as_ref() >= Some(&row.value)
    }

    /// A segment was damaged on purpose: what only it holds is lost.
    pub fn damage(&mut self, name: &str, others: &Shown) {
        self.damaged_segments.insert(name.to_owned());
        let Some(rows) = self.segments.get(name) else { return };
        let elsewhere: BTreeSet<RowId> =
            others.iter().filter(|(of, _)| of != name).flat_map(|(_, rows)| rows.iter().copied()).collect();
        let lost = rows.iter().filter(|row| !elsewhere.contains(row)).map(|row| self.row_places[*row as usize].0);
        self.damaged.extend(lost);
    }

    /// Checks what a snapshot shows: all that was committed `since` (M1, D3) and within `hours`, nothing twice (M2), nothing else.
    pub fn check(&self, shown: &Shown, since: Option<&Since>, hours: std::ops::Range<i64>) -> Option<String> {
        let mut counts = vec![0usize; self.copies.len()];
        let mut winners: Vec<Option<&RowValue>> = vec![None; self.committed.len()];
        for row in shown.iter().flat_map(|(_, rows)| rows.iter()) {
            counts[*row as usize] += 1;
            let (key, value) = &self.row_places[*row as usize];
            winners[*key as usize] = winners[*key as usize].max(Some(value));
        }
        if let Some(row) = (0..counts.len()).find(|row| counts[*row] > self.copies[*row].len()) {
            let by: Vec<&str> =
                shown.iter().filter(|(_, rows)| rows.contains(&(row as u32))).map(|(name, _)| name.as_str()).collect();
            let (count, copies) = (counts[row], self.copies[row].len());
            return Some(format!(
                "M2: row {} is shown {count} times and was committed {copies} times: {by:?}",
                self.describe(row)
            ));
        }
        let erasures = since.map_or(self.erasures.len(), |since| since.erasures);
        // A part may hold hours that were not asked for, and deletions of those alone are not in the snapshot.
        let is_asked = |row: &usize| hours.contains(&self.keys[self.row_places[*row].0 as usize].at_ms.div_euclid(3_600_000));
        let is_gone = |row: &usize| counts[*row] > 0 && is_asked(row) && self.fate(*row, erasures) == Fate::Gone;
        if erasures > 0
            && let Some(row) = (0..counts.len()).find(is_gone)
        {
            return Some(format!("deletion: row {} was deleted and is shown", self.describe(row)));
        }
        let required = match since {
            Some(since) => since.committed.clone(),
            None if self.erasures.is_empty() => self.committed.clone(),
            None => self.required(),
        };
        self.missing(&required, &winners, since, hours)
    }

    /// Finds something required that is not shown, itself or what wins over it.
    fn missing(
        &self,
        required: &[Option<RowValue>],
        winners: &[Option<&RowValue>],
        since: Option<&Since>,
        hours: std::ops::Range<i64>,
    ) -> Option<String> {
        let released = since.map_or(&[][..], |since| &self.released[since.released..]);
        let missing = (0..required.len()).find(|key| {
            let hour = self.keys[*key].at_ms.div_euclid(3_600_000);
            required[*key].as_ref() > winners[*key]
                && hours.contains(&hour)
                && !self.dropped.contains(&hour.div_euclid(24))
                && !self.damaged.contains(&(*key as u32))
                // What a reader may see of rows that are being deleted is left to the checks of the true state.
                && (since.is_none() || !self.erasures.iter().any(|of| self.names(*key as u32, &of.deletion)))
                // It went while the reader was at it.
                && !released.contains(&(*key as u32))
        });
        missing.map(|key| {
            let seen = winners[key];
            format!("M1: {} is committed and not shown; shown under its key: {seen:?}", self.describe_key(key as u32))
        })
    }

    /// Checks what a reader was answered: all that was committed `since` it asked, nothing that was deleted before, nothing that
    /// nobody wrote.
    pub fn check_answer(&self, answered: &BTreeMap<RowKey, RowValue>, since: &Since) -> Option<String> {
        let mut winners: Vec<Option<&RowValue>> = vec![None; self.committed.len()];
        for (key, value) in answered {
            let number = self.numbers.get(key);
            let row = number.and_then(|number| self.rows.get(&(*number, value.clone())));
            let (Some(number), Some(row)) = (number, row) else {
                return Some(format!("Q2: the engine answers what nobody wrote: {} = {value:?}", String::from_utf8_lossy(key)));
            };
            if self.fate(*row as usize, since.erasures) == Fate::Gone {
                return Some(format!("deletion: row {} was deleted and is answered", self.describe(*row as usize)));
            }
            winners[*number as usize] = Some(value);
        }
        // Where a series ends by now, nothing need be answered.
        let ends = |key: usize| self.committed[key].as_ref().is_some_and(RowValue::is_stale);
        let required = since.committed.iter().enumerate().map(|(key, value)| if ends(key) { None } else { value.clone() });
        self.missing(&required.collect::<Vec<_>>(), &winners, Some(since), i64::MIN..i64::MAX)
    }

    /// Returns the labels of a segment's rows.
    pub fn labels_of<'a>(&'a self, rows: &'a [RowId]) -> impl Iterator<Item = &'a LabelSet> {
        rows.iter().map(|row| &self.keys[self.row_places[*row as usize].0 as usize].labels)
    }

    /// Returns the segments among `shown` that hold a row of the key.
    pub fn holding(&self, shown: &Shown, key: &RowKey) -> Vec<String> {
        let Some(key) = self.numbers.get(key) else { return Vec::new() };
        let holds = |rows: &[RowId]| rows.iter().any(|row| self.row_places[*row as usize].0 == *key);
        shown.iter().filter(|(_, rows)| holds(rows)).map(|(name, _)| name.clone()).collect()
    }

    /// Returns the winning rows that are shown and that a query answers: all but the end of a series.
    pub fn winners(&self, shown: &Shown) -> BTreeMap<RowKey, RowValue> {
        let mut winners: Vec<Option<RowValue>> = vec![None; self.keys.len()];
        for row in shown.iter().flat_map(|(_, rows)| rows.iter()) {
            let (key, value) = &self.row_places[*row as usize];
            raise(&mut winners[*key as usize], value);
        }
        let names = self.numbers.iter().filter_map(|(name, key)| Some((name.clone(), winners[*key as usize].clone()?)));
        names.filter(|(_, value)| !value.is_stale()).collect()
    }

    fn describe(&self, row: usize) -> String {
        let (key, value) = &self.row_places[row];
        format!("{} = {value:?}", self.describe_key(*key))
    }

    fn describe_key(&self, key: u32) -> String {
        let Key { labels, at_ms, line, .. } = &self.keys[key as usize];
        format!("{labels:?} {:?} at {at_ms}", String::from_utf8_lossy(line))
    }
}

fn raise(winner: &mut Option<RowValue>, value: &RowValue) {
    if winner.as_ref() < Some(value) {
        *winner = Some(value.clone());
    }
}

/// The one kind of filter that is asked for here, understood without the product's help.
fn is_accepted(line: &[u8], filter: Option<&str>) -> bool {
    let needle = filter.and_then(|text| text.strip_prefix("|= \"")?.strip_suffix('"'));
    needle.is_none_or(|needle| line.windows(needle.len()).any(|at| at == needle.as_bytes()))
}
