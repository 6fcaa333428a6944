//! Range functions sliding over one series: windows of 1,000 samples over 5,000, one evaluation per sample that enters. Throughput
//! counts the samples of all windows, as an evaluation from raw samples reads them.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use plan::Annotations;
use plan::functions::float;
use plan::functions::window::{Outcome, Window, evaluate};
use plan::logical::{Extension, Function, Span};
use plan::value::StepValue;

const SERIES_SAMPLES: usize = 5_000;
const WINDOW_SAMPLES: usize = 1_000;
const WINDOWS: usize = SERIES_SAMPLES - WINDOW_SAMPLES + 1;
const INTERVAL_MS: i64 = 15_000;

/// A counter scraped every 15 s, restarted every 1,250 samples.
struct Counter {
    timestamps: Vec<i64>,
    values: Vec<f64>,
}

impl Counter {
    fn new() -> Counter {
        let timestamps = (1..=SERIES_SAMPLES as i64).map(|index| index * INTERVAL_MS).collect();
        let values = (0..SERIES_SAMPLES).map(|index| (index % 1_250) as f64 * 7.25).collect();
        Counter { timestamps, values }
    }

    fn window(&self, first: usize) -> Window<'_> {
        let samples = first..first + WINDOW_SAMPLES;
        Window {
            timestamps: &self.timestamps[samples.clone()],
            values: &self.values[samples],
            start_timestamps: &[],
            histograms: &[],
        }
    }
}

/// Evaluates the function over every window and returns the sum of its values.
fn slide(function: Function, counter: &Counter) -> f64 {
    let mut annotations = Annotations::default();
    let values = (0..WINDOWS).filter_map(|first| {
        let window = counter.window(first);
        let end = window.timestamps[WINDOW_SAMPLES - 1];
        let start = end - INTERVAL_MS * WINDOW_SAMPLES as i64;
        let outcome = Outcome {
            function,
            start,
            end,
            at: end,
            range_seconds: (end - start) as f64 / 1000.0,
            extension: Extension::None,
            start_timestamps: false,
            left_out: 0,
            name: "requests_total",
            span: Span::default(),
        };
        match evaluate(&outcome, window, &[], &mut annotations).expect("floats only") {
            Some(StepValue::Float(value)) => Some(value),
            _ => None,
        }
    });
    values.sum()
}

fn windows(criterion: &mut Criterion) {
    let counter = Counter::new();
    let mut group = criterion.benchmark_group("1000-sample windows");
    group.throughput(Throughput::Elements((WINDOWS * WINDOW_SAMPLES) as u64));
    for function in [Function::Rate, Function::SumOverTime] {
        group.bench_function(function.as_str(), |bencher| bencher.iter(|| slide(function, black_box(&counter))));
    }
    group.finish();
}

fn sum(criterion: &mut Criterion) {
    let counter = Counter::new();
    let mut group = criterion.benchmark_group("one series");
    group.throughput(Throughput::Elements(SERIES_SAMPLES as u64));
    group.bench_function("float::sum", |bencher| bencher.iter(|| float::sum(black_box(&counter.values))));
    group.finish();
}

criterion_group!(benches, windows, sum);
criterion_main!(benches);
