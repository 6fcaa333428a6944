//! Which samples stand of what is stored of replicas, by `model::replicas::elect` over everything at once. Pure.

use super::copies::label_set;
use super::ledger::Samples;
use super::rows::RowValue;
use model::LabelSet;
use model::replicas::{Replica, elect};
use std::collections::BTreeMap;

/// The label that tells replicas apart.
pub const LABEL: &str = "replica";

/// What stands: by the labels of a group and time, whose sample, and its value.
pub type Standing = BTreeMap<(LabelSet, i64), (String, RowValue)>;

/// One that stands.
type Sample<'a> = (&'a (LabelSet, i64), &'a (String, RowValue));

/// Says what stands of stored samples.
pub fn standing(samples: &Samples) -> Standing {
    let mut groups: BTreeMap<LabelSet, BTreeMap<String, &BTreeMap<i64, RowValue>>> = BTreeMap::new();
    for (labels, of_series) in samples {
        let labels = label_set(labels);
        let replica = labels.get(LABEL).unwrap_or("").to_owned();
        groups.entry(labels.without(LABEL)).or_default().insert(replica, of_series);
    }
    let mut standing = Standing::new();
    for (group, members) in groups {
        let members: Vec<(String, &BTreeMap<i64, RowValue>)> = members.into_iter().collect();
        let replicas: Vec<Replica> = members.iter().map(|(_, samples)| replica(samples)).collect();
        for piece in elect(&replicas) {
            let (name, samples) = &members[piece.replica];
            let times = &replicas[piece.replica].times[piece.rows];
            standing.extend(times.iter().map(|at| ((group.clone(), *at), (name.clone(), samples[at].clone()))));
        }
    }
    standing
}

/// What an election looks at.
pub fn replica(samples: &BTreeMap<i64, RowValue>) -> Replica {
    Replica { times: samples.keys().copied().collect(), stale: samples.values().map(RowValue::is_stale).collect() }
}

/// Returns how two differ: what stood and what stands instead.
pub fn differ(before: &Standing, after: &Standing) -> Option<String> {
    let stood = before.iter().find(|(at, stood)| after.get(*at) != Some(stood));
    let stands = after.iter().find(|(at, stands)| before.get(*at) != Some(stands));
    let text =
        |of: Option<Sample<'_>>| of.map(|((group, at), (replica, value))| format!("{group} of {replica} at {at} = {value:?}"));
    (stood.is_some() || stands.is_some()).then(|| format!("{:?} stood, {:?} stands", text(stood), text(stands)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two replicas of which the second fills what the first missed.
    fn samples(first: &[i64], second: &[i64]) -> Samples {
        let of = |replica: &str, times: &[i64]| {
            let labels = LabelSet::from_pairs([("__name__", "m"), (LABEL, replica)]);
            let value = |at: &i64| (*at, RowValue::Number(*at as u64));
            (labels.encoded().to_vec(), times.iter().map(value).collect())
        };
        Samples::from([of("a", first), of("b", second)])
    }

    #[test]
    fn one_replica_stands_at_a_time() {
        let minute = |from: i64| (from..from + 60_000).step_by(10_000).collect::<Vec<i64>>();
        let both = samples(&minute(0), &minute(3_000));
        let standing = standing(&both);
        assert_eq!(standing.len(), 6);
        assert!(standing.values().all(|(replica, _)| replica == "a"));
        let group = LabelSet::from_pairs([("__name__", "m")]);
        assert_eq!(standing[&(group, 50_000)].1, RowValue::Number(50_000));
        assert_eq!(differ(&standing, &standing), None);
        // Without the one that stands the other does.
        let other = super::standing(&samples(&[], &minute(3_000)));
        assert!(differ(&standing, &other).is_some_and(|found| found.contains("of a") && found.contains("of b")));
    }
}
