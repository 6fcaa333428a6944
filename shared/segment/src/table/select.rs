//! Which series of a table matchers accept, and what finds them without looking at all: runs of the metric name, lists by pair.

use std::ops::Range;

use model::Matcher;
use model::labels::METRIC_NAME;

use super::Table;
use super::verdicts::{COUNTED, Verdicts};

/// Stands for no pair: the metric name of series that have none, the place of a pair of another name.
const NO_PAIR: u32 = u32::MAX;

/// The values of a label name come in no order.
pub(super) struct Unordered;

/// A selection looks at series one by one where they are at most this part of the table; past it, listing a label's series once costs
/// about as much as looking at all of them does each time.
const LOOKED_AT_PART: usize = 8;

/// The series of each pair with one label name, ascending, pair by pair.
#[derive(Debug)]
pub(super) struct Postings {
    series: Vec<u32>,
    /// Per pair, in the order of [`Table::pairs_named`], one past its last series.
    ends: Vec<u32>,
}

impl Postings {
    fn range(&self, place: u32) -> Range<usize> {
        let start = if place == 0 { 0 } else { self.ends[place as usize - 1] };
        start as usize..self.ends[place as usize] as usize
    }

    /// Counts the series of some pairs, given by their places.
    fn count(&self, places: &[u32]) -> usize {
        places.iter().map(|place| self.range(*place).len()).sum()
    }

    /// Returns them, ascending; no series has two pairs of one name.
    fn series(&self, places: &[u32]) -> Vec<u32> {
        let mut series: Vec<u32> = places.iter().flat_map(|place| &self.series[self.range(*place)]).copied().collect();
        if places.len() > 1 {
            series.sort_unstable();
        }
        series
    }
}

impl Table {
    /// Returns the series that all matchers accept, ascending.
    pub(crate) fn select(&self, matchers: &[Matcher]) -> Vec<u32> {
        let Some(verdicts) = Verdicts::new(self, matchers) else {
            return Vec::new();
        };
        let runs =
            if verdicts.metric_required { self.named_runs(&verdicts) } else { std::iter::once(0..self.len() as u32).collect() };
        let candidates: usize = runs.iter().map(Range::len).sum();
        let narrowest = verdicts.narrowest.as_ref().filter(|_| candidates > self.len() / LOOKED_AT_PART);
        let listed = narrowest.map(|accepted| (self.postings(accepted.name), &accepted.places));
        let (mut series, proven): (Vec<u32>, bool) = match listed.filter(|(postings, places)| postings.count(places) < candidates)
        {
            Some((postings, places)) => (postings.series(places), true),
            None => (runs.into_iter().flatten().collect(), verdicts.metric_required),
        };
        // Where the one name asked about has led to the series, nothing is left to be looked at.
        if !proven || verdicts.names > 1 {
            series.retain(|series| verdicts.accept(self.pairs(*series as usize)));
        }
        series
    }

    /// Returns the runs of series whose metric name is accepted.
    fn named_runs(&self, verdicts: &Verdicts) -> Vec<Range<u32>> {
        let runs = self.runs();
        let ends = runs.iter().skip(1).map(|(_, start)| *start).chain([self.len() as u32]);
        let named = runs.iter().zip(ends).filter(|((pair, _), _)| *pair != NO_PAIR && verdicts.pairs[*pair as usize] == COUNTED);
        named.map(|((_, start), end)| *start..end).collect()
    }

    /// Returns the runs of series with the same metric name, found when first asked for.
    fn runs(&self) -> &[(u32, u32)] {
        self.runs.get_or_init(|| {
            let Some(name) = self.names.iter().position(|name| &**name == METRIC_NAME) else { return vec![(NO_PAIR, 0)] };
            let is_named = |pair: &u32| self.pair_names[*pair as usize] as usize == name;
            let (mut runs, mut place): (Vec<(u32, u32)>, usize) = (Vec::new(), 0);
            for series in 0..self.len() {
                let pairs = self.pairs(series);
                let last = runs.last().map_or(NO_PAIR, |(pair, _)| *pair);
                // Nearly always the series before has the same name, at the same place.
                if last != NO_PAIR && pairs.get(place) == Some(&last) {
                    continue;
                }
                let found = pairs.iter().position(is_named);
                place = found.unwrap_or(0);
                let pair = found.map_or(NO_PAIR, |place| pairs[place]);
                if runs.is_empty() || last != pair {
                    runs.push((pair, series as u32));
                }
            }
            runs
        })
    }

    /// Returns the pairs with a label name, grouped when first asked for.
    pub(super) fn pairs_named(&self, name: u32) -> &[u32] {
        let (pairs, ends) = self.by_name.get_or_init(|| {
            let names = self.pair_names.iter().copied();
            grouped(names.enumerate().map(|(pair, name)| (name, pair as u32)), self.names.len())
        });
        let start = if name == 0 { 0 } else { ends[name as usize - 1] };
        &pairs[start as usize..ends[name as usize] as usize]
    }

    /// Returns the place of a value in [`Table::pairs_named`], found without looking at all of them where they ascend: so do metric names
    /// and, mostly, whatever takes part in the order of series.
    ///
    /// # Errors
    /// Where they do not.
    pub(super) fn place_of(&self, name: u32, value: &str) -> Result<Option<u32>, Unordered> {
        let named = self.pairs_named(name);
        let value_at = |place: usize| self.pair(named[place]).1;
        let ascends = || (1..named.len()).all(|place| value_at(place - 1) < value_at(place));
        if !self.ascending[name as usize].get_or_init(ascends) {
            return Err(Unordered);
        }
        Ok(named.binary_search_by(|pair| self.pair(*pair).1.cmp(value)).ok().map(|place| place as u32))
    }

    /// Returns the series of each pair with a label name, listed when first asked for.
    fn postings(&self, name: u32) -> &Postings {
        self.postings[name as usize].get_or_init(|| {
            let named = self.pairs_named(name);
            let mut places = vec![NO_PAIR; self.pair_names.len()];
            named.iter().enumerate().for_each(|(place, pair)| places[*pair as usize] = place as u32);
            let all = (0..self.len()).flat_map(|series| self.pairs(series).iter().map(move |pair| (*pair, series as u32)));
            let of_name = all.map(|(pair, series)| (places[pair as usize], series)).filter(|(place, _)| *place != NO_PAIR);
            let of_name: Vec<(u32, u32)> = of_name.collect();
            let (series, ends) = grouped(of_name.iter().copied(), named.len());
            Postings { series, ends }
        })
    }
}

/// Sorts items by their groups, `groups` in number, and keeps their order inside each: the items, and one past the last of each group.
fn grouped(items: impl Iterator<Item = (u32, u32)> + Clone, groups: usize) -> (Vec<u32>, Vec<u32>) {
    let mut ends = vec![0u32; groups];
    items.clone().for_each(|(group, _)| ends[group as usize] += 1);
    let mut end = 0;
    let mut next: Vec<u32> = Vec::with_capacity(groups);
    for count in &mut ends {
        next.push(end);
        end += *count;
        *count = end;
    }
    let mut sorted = vec![0; end as usize];
    for (group, item) in items {
        sorted[next[group as usize] as usize] = item;
        next[group as usize] += 1;
    }
    (sorted, ends)
}

#[cfg(test)]
mod tests {
    use model::LabelSet;
    use model::MatchOp::{Equal, NotEqual, Regex};

    use super::*;
    use crate::cursor::Cursor;
    use crate::table::{Row, TableBuilder};

    #[test]
    fn a_selection_has_what_every_matcher_accepts() {
        let mut builder = TableBuilder::default();
        // Names in order as in a segment, out of order, missing, and behind another label.
        let sets: Vec<LabelSet> = ["a", "a", "b", "", "c", "a", "ab", "b"]
            .iter()
            .enumerate()
            .map(|(at, name)| {
                let odd = if at % 3 == 1 { "x" } else { "" };
                LabelSet::from_pairs([("A", odd), ("__name__", *name), ("job", ["api", "db"][at % 2])])
            })
            .collect();
        sets.iter().for_each(|set| builder.push(set.encoded(), Row::default()));
        let mut encoded = Vec::new();
        builder.encode(1, &mut encoded);
        let table = Table::decode(1, &mut Cursor::new(&encoded, "test")).unwrap();
        let all = [
            ("__name__", Equal, "a"),
            ("__name__", Regex, "a|b"),
            ("__name__", NotEqual, "a"),
            ("__name__", NotEqual, ""),
            ("__name__", Equal, ""),
            ("__name__", Regex, ".*b"),
            ("job", Equal, "db"),
            ("job", Equal, "bd"),
            ("job", Regex, "db|api"),
            ("job", NotEqual, "db"),
            ("A", Equal, "x"),
            ("A", Equal, ""),
            ("absent", Equal, "x"),
        ]
        .map(|(name, op, value)| Matcher::new(name, op, value).unwrap());
        let check = |matchers: &[Matcher]| {
            let accepted = |at: &u32| matchers.iter().all(|matcher| matcher.matches_labels(&sets[*at as usize]));
            let expected: Vec<u32> = (0..sets.len() as u32).filter(accepted).collect();
            assert_eq!(table.select(matchers), expected, "{matchers:?}");
        };
        for first in &all {
            check(std::slice::from_ref(first));
            all.iter().for_each(|second| check(&[first.clone(), second.clone()]));
        }
    }
}
