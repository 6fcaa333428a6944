//! Which series the matchers of a selector accept.

use model::labels::METRIC_NAME;
use model::{MatchOp, Matcher};

use super::Table;

/// Matchers evaluated once per distinct pair, so that a series costs one look per label.
pub(super) struct Verdicts {
    /// Per pair: 0 not asked about, or not counted where one of its name has to be; 1 accepted, 2 accepted and counted, 3 refused.
    pub(super) pairs: Vec<u8>,
    /// Names that have to be present.
    pub(super) required: usize,
    /// Of the names that have to be present, but for the metric name, the one of whose pairs the smallest part is accepted.
    pub(super) narrowest: Option<Accepted>,
    /// Names that are asked about.
    pub(super) names: usize,
    /// Whether the metric name is one that has to be present.
    pub(super) metric_required: bool,
}

/// The accepted pairs of a label name.
pub(super) struct Accepted {
    pub(super) name: u32,
    /// Their places in [`Table::pairs_named`].
    pub(super) places: Vec<u32>,
    part: f64,
}

const ACCEPTED: u8 = 1;
pub(super) const COUNTED: u8 = 2;
const REFUSED: u8 = 3;

impl Verdicts {
    /// Returns `None` where no series can match: a required name is not in the table.
    pub(super) fn new(table: &Table, matchers: &[Matcher]) -> Option<Verdicts> {
        let mut names: Vec<&str> = matchers.iter().map(Matcher::name).collect();
        names.sort_unstable();
        names.dedup();
        let pairs = vec![0; table.pair_names.len()];
        let mut verdicts = Verdicts { pairs, required: 0, narrowest: None, names: names.len(), metric_required: false };
        for name in names {
            let of_name: Vec<&Matcher> = matchers.iter().filter(|matcher| matcher.name() == name).collect();
            let required = of_name.iter().any(|matcher| !matcher.matches_empty());
            verdicts.metric_required |= required && name == METRIC_NAME;
            let id = table.names.iter().position(|n| &**n == name);
            match id {
                None if required => return None,
                None => continue,
                Some(id) => verdicts.judge(table, id as u32, &of_name, required),
            }
        }
        Some(verdicts)
    }

    fn judge(&mut self, table: &Table, name: u32, matchers: &[&Matcher], required: bool) {
        self.required += usize::from(required);
        let named = table.pairs_named(name);
        let places = match matchers {
            [matcher] if required && matcher.op() == MatchOp::Equal => table.place_of(name, matcher.value()).ok(),
            _ => None,
        };
        let places = match places {
            Some(place) => Vec::from_iter(place),
            None => self.judge_each(table, named, matchers),
        };
        if !required {
            return;
        }
        places.iter().for_each(|place| self.pairs[named[*place as usize] as usize] = COUNTED);
        let part = places.len() as f64 / named.len() as f64;
        let is_metric = &*table.names[name as usize] == METRIC_NAME;
        if !is_metric && self.narrowest.as_ref().is_none_or(|other| part < other.part) {
            self.narrowest = Some(Accepted { name, places, part });
        }
    }

    /// Judges all pairs of a name; returns the places of those that are accepted.
    fn judge_each(&mut self, table: &Table, named: &[u32], matchers: &[&Matcher]) -> Vec<u32> {
        let mut places = Vec::new();
        for (place, id) in named.iter().enumerate() {
            let accepted = matchers.iter().all(|matcher| matcher.matches(table.pair(*id).1));
            self.pairs[*id as usize] = if accepted { ACCEPTED } else { REFUSED };
            if accepted {
                places.push(place as u32);
            }
        }
        places
    }

    #[inline]
    pub(super) fn accept(&self, pairs: &[u32]) -> bool {
        let mut counted = 0;
        for pair in pairs {
            match self.pairs[*pair as usize] {
                REFUSED => return false,
                COUNTED => counted += 1,
                _ => {}
            }
        }
        counted == self.required
    }
}
