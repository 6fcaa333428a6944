use std::sync::Arc;

use model::{Clock, Exemplar, Histogram, LabelSet, MetricKind, MetricMetadata, Nonces};

use super::*;

#[derive(Debug)]
struct Noon;

impl Clock for Noon {
    fn now(&self) -> TimestampMs {
        TimestampMs(1_000_000)
    }
}

fn labels(cluster: &str, replica: &str) -> LabelSet {
    LabelSet::from_pairs([("__name__", "m"), ("cluster", cluster), ("__replica__", replica)])
}

/// A series of each sort of row, at the given times.
fn add(batch: &mut MetricBatch, labels: &LabelSet, times: &[i64]) {
    batch.start_series_of(labels);
    let series = batch.series_len() as u32 - 1;
    for at in times.iter().map(|at| TimestampMs(*at)) {
        batch.push_sample(at, at.0 as f64, TimestampMs(7));
        batch.histograms.push(HistogramRow { series, timestamp: at, start_timestamp: at, histogram: Histogram::default() });
        let exemplar = Exemplar { labels: LabelSet::empty(), value: 1.0, timestamp: at };
        batch.exemplars.push(ExemplarRow { series, exemplar });
    }
}

fn rows(count: usize) -> Written {
    Written { samples: count, histograms: count, exemplars: count }
}

#[tokio::test]
async fn of_a_batch_of_many_what_each_is_to_store_is_left() {
    let elections = Elections::new(store::records::memory(), Arc::new(Noon), &Nonces::seeded(1));
    let limits = ElectionLimits { enabled: true, ..ElectionLimits::default() };
    let tenant = TenantId::anonymous();
    let mut first = MetricBatch::default();
    add(&mut first, &labels("c", "a"), &[900_000, 905_000]);
    let chosen = choose(&elections, &tenant, first, &limits).await.unwrap();
    for mandate in chosen.mandates {
        elections.stored(mandate).await.unwrap();
    }

    let mut batch = MetricBatch::default();
    let bare = LabelSet::from_pairs([("__name__", "m"), ("__replica__", "b")]);
    add(&mut batch, &labels("c", "b"), &[890_000, 906_000]);
    add(&mut batch, &bare, &[1]);
    add(&mut batch, &labels("d", "b"), &[906_000]);
    add(&mut batch, &labels("c", "a"), &[907_000]);
    batch.metadata.push(MetricMetadata {
        metric: "m".into(),
        kind: MetricKind::Counter,
        help: String::new(),
        unit: String::new(),
    });
    let chosen = choose(&elections, &tenant, batch, &limits).await.unwrap();

    let mut expected = MetricBatch::default();
    add(&mut expected, &labels("c", ""), &[890_000]);
    add(&mut expected, &bare, &[1]);
    add(&mut expected, &labels("d", ""), &[906_000]);
    add(&mut expected, &labels("c", ""), &[907_000]);
    expected.metadata.clone_from(&chosen.batch.metadata);
    assert_eq!(chosen.batch, expected);
    assert_eq!((chosen.taken, chosen.covered, chosen.denied), (rows(3), rows(1), rows(0)));
    let claimed: Vec<bool> = chosen.mandates.iter().map(|mandate| mandate.claimed).collect();
    assert_eq!((claimed, chosen.batch.metadata.len()), (vec![false, true], 1));
}

/// A gateway sends both at once: the one would wait for the other, at each repetition again.
#[tokio::test]
async fn replicas_of_one_request_do_not_wait_for_each_other() {
    let elections = Elections::new(store::records::memory(), Arc::new(Noon), &Nonces::seeded(1));
    let limits = ElectionLimits { enabled: true, ..ElectionLimits::default() };
    let mut batch = MetricBatch::default();
    add(&mut batch, &labels("c", "a"), &[889_000, 905_000]);
    add(&mut batch, &labels("c", "b"), &[890_000, 906_000]);
    let mut expected = MetricBatch::default();
    add(&mut expected, &labels("c", ""), &[889_000]);
    add(&mut expected, &labels("c", ""), &[890_000, 906_000]);
    for claims in [true, false] {
        let chosen = choose(&elections, &TenantId::anonymous(), batch.clone(), &limits).await.unwrap();
        assert_eq!(chosen.batch, expected);
        assert_eq!((chosen.taken, chosen.covered), (rows(3), rows(1)));
        let claimed: Vec<bool> = chosen.mandates.iter().map(|mandate| mandate.claimed).collect();
        assert_eq!(claimed, [claims], "the first one's write failed");
    }
}

/// As a Prometheus sends them: exemplars are series of their own, and may be hours old.
#[test]
fn exemplars_do_not_begin_a_term() {
    let limits = ElectionLimits::default();
    let exemplar = |series: u32, at: i64| {
        let exemplar = Exemplar { labels: LabelSet::empty(), value: 1.0, timestamp: TimestampMs(at) };
        ExemplarRow { series, exemplar }
    };
    let times_of = |batch: &MetricBatch| {
        let (senders, _) = senders(batch, &limits);
        senders.iter().map(|sender| (sender.times.oldest.0, sender.times.newest.0)).collect::<Vec<_>>()
    };
    let mut batch = MetricBatch::default();
    batch.start_series_of(&labels("c", "a"));
    batch.exemplars.extend([exemplar(0, 1_000), exemplar(0, 2_000)]);
    assert_eq!(times_of(&batch), [(1_000, 2_000)], "there is nothing else");
    add(&mut batch, &labels("c", "a"), &[900_000, 905_000]);
    assert_eq!(times_of(&batch), [(900_000, 905_000)]);
}

#[tokio::test]
async fn nothing_is_touched_where_nobody_asked_for_it() {
    let elections = Elections::new(store::records::memory(), Arc::new(Noon), &Nonces::seeded(1));
    let mut batch = MetricBatch::default();
    add(&mut batch, &labels("c", "a"), &[900_000]);
    let chosen = choose(&elections, &TenantId::anonymous(), batch.clone(), &ElectionLimits::default()).await.unwrap();
    assert_eq!((chosen.batch, chosen.mandates.len(), chosen.taken), (batch, 0, rows(0)));
}
