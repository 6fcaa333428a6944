//! A batch cut by event hour: the grain of the manifest. Pure.

use model::{Hour, LogBatch, MetricBatch, TimestampMs, TimestampNs};

use crate::Batch;

/// Cuts a batch into one batch per event hour, hours ascending. Metadata, which has no time, goes with the first, or with the hour
/// of `now` where there is no sample at all.
pub fn cut(batch: Batch, now: TimestampMs) -> Vec<(Hour, Batch)> {
    match batch {
        Batch::Metrics(batch) => cut_metrics(batch, now),
        Batch::Logs(batch) => cut_logs(batch),
    }
}

fn cut_metrics(mut batch: MetricBatch, now: TimestampMs) -> Vec<(Hour, Batch)> {
    let mut hours = hours_of(metric_times(&batch));
    if hours.is_empty() {
        hours.push(now.hour());
    }
    if let [hour] = hours[..] {
        return vec![(hour, Batch::Metrics(batch))];
    }
    let metadata = std::mem::take(&mut batch.metadata);
    let mut parts: Vec<(Hour, Batch)> = hours.iter().map(|hour| (*hour, Batch::Metrics(metrics_of(&batch, *hour)))).collect();
    if let Some((_, Batch::Metrics(first))) = parts.first_mut() {
        first.metadata = metadata;
    }
    parts
}

fn metric_times(batch: &MetricBatch) -> impl Iterator<Item = Hour> {
    let samples = batch.timestamps.iter().map(|at| TimestampMs(*at));
    let histograms = batch.histograms.iter().map(|row| row.timestamp);
    let exemplars = batch.exemplars.iter().map(|row| row.exemplar.timestamp);
    samples.chain(histograms).chain(exemplars).map(TimestampMs::hour)
}

/// Lists the distinct hours, ascending; neighbours usually share theirs.
fn hours_of(times: impl Iterator<Item = Hour>) -> Vec<Hour> {
    let mut hours: Vec<Hour> = Vec::new();
    for hour in times {
        if hours.last() != Some(&hour) && !hours.contains(&hour) {
            hours.push(hour);
        }
    }
    hours.sort_unstable();
    hours
}

fn metrics_of(batch: &MetricBatch, hour: Hour) -> MetricBatch {
    let mut part = MetricBatch::default();
    let (mut histograms, mut exemplars) = (batch.histograms.iter().peekable(), batch.exemplars.iter().peekable());
    for series in 0..batch.series_len() {
        let range = batch.sample_range(series);
        let samples = range.clone().filter(|row| TimestampMs(batch.timestamps[*row]).hour() == hour);
        let mut own_histograms = Vec::new();
        while let Some(row) = histograms.next_if(|row| row.series as usize == series) {
            own_histograms.extend((row.timestamp.hour() == hour).then(|| row.clone()));
        }
        let mut own_exemplars = Vec::new();
        while let Some(row) = exemplars.next_if(|row| row.series as usize == series) {
            own_exemplars.extend((row.exemplar.timestamp.hour() == hour).then(|| row.clone()));
        }
        if samples.clone().next().is_none() && own_histograms.is_empty() && own_exemplars.is_empty() {
            continue;
        }
        let index = part.series_len() as u32;
        part.start_series(|out| out.extend_from_slice(batch.labels.get(series)));
        for row in samples {
            let start = batch.start_timestamps.get(row).copied().unwrap_or(0);
            part.push_sample(TimestampMs(batch.timestamps[row]), batch.values[row], TimestampMs(start));
        }
        own_histograms.iter_mut().for_each(|row| row.series = index);
        own_exemplars.iter_mut().for_each(|row| row.series = index);
        part.histograms.append(&mut own_histograms);
        part.exemplars.append(&mut own_exemplars);
    }
    part
}

fn cut_logs(batch: LogBatch) -> Vec<(Hour, Batch)> {
    let hours = hours_of(batch.timestamps.iter().map(|at| TimestampNs(*at).hour()));
    match hours[..] {
        [] => Vec::new(),
        [hour] => vec![(hour, Batch::Logs(batch))],
        _ => hours.iter().map(|hour| (*hour, Batch::Logs(logs_of(&batch, *hour)))).collect(),
    }
}

fn logs_of(batch: &LogBatch, hour: Hour) -> LogBatch {
    let mut part = LogBatch::default();
    for stream in 0..batch.streams_len() {
        let mut started = false;
        for row in batch.entry_range(stream).filter(|row| TimestampNs(batch.timestamps[*row]).hour() == hour) {
            if !started {
                part.start_stream(|out| out.extend_from_slice(batch.labels.get(stream)));
                started = true;
            }
            part.push_entry(TimestampNs(batch.timestamps[row]), batch.lines.get(row), batch.metadata.get(row));
        }
    }
    part
}

#[cfg(test)]
mod tests {
    use model::LabelSet;
    use model::time::HOUR_MS;

    use super::*;

    fn batch(samples: &[(&str, i64)]) -> Batch {
        let mut batch = MetricBatch::default();
        for (name, at) in samples {
            batch.start_series_of(&LabelSet::from_pairs([("__name__", *name)]));
            batch.push_sample(TimestampMs(*at), *at as f64, TimestampMs(0));
        }
        Batch::Metrics(batch)
    }

    #[test]
    fn one_hour_is_not_copied() {
        let whole = batch(&[("a", 1), ("b", HOUR_MS - 1)]);
        assert_eq!(cut(whole.clone(), TimestampMs(0)), vec![(Hour(0), whole)]);
    }

    #[test]
    fn hours_ascend_and_rows_are_kept() {
        let parts = cut(batch(&[("a", HOUR_MS), ("a", -1), ("b", 0), ("b", HOUR_MS + 1)]), TimestampMs(0));
        let shape: Vec<(i64, usize)> = parts.iter().map(|(hour, part)| (hour.0, part.rows())).collect();
        assert_eq!(shape, [(-1, 1), (0, 1), (1, 2)]);
    }

    #[test]
    fn metadata_alone_goes_to_the_present() {
        let mut batch = MetricBatch::default();
        batch.metadata.push(model::MetricMetadata {
            metric: "m".into(),
            kind: model::MetricKind::Gauge,
            help: String::new(),
            unit: String::new(),
        });
        assert_eq!(cut(Batch::Metrics(batch), TimestampMs(5 * HOUR_MS))[0].0, Hour(5));
    }
}
