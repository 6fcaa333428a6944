//! Windows over a leaf that has coarse copies: series with windows take the kernels of `plan::functions::coarse`, all others go on
//! as samples, native histograms with the number of those that were left out.

use model::windowed::{self, Window};
use model::{STALE_NAN, is_stale};
use plan::functions::coarse::{Ranges, is_exact_without, needs, newest};
use plan::logical::{Extension, Function, RangeInput};
use plan::reference::windows as reference;
use plan::{Annotations, SampleCounts};

use super::window::{Ask, WindowExec, windows};
use crate::EngineError;
use crate::batch::WindowsBuilder;
use crate::context::StepExtras;
use crate::leaf::{Gaps, Samples};
use crate::merge::Merged;

impl WindowExec {
    pub(super) async fn read_coarse(&self, chunk: &[u32]) -> Result<WindowsBuilder, EngineError> {
        let plain = self.ask.select().extension == Extension::None && !self.context.options.use_start_timestamps;
        let needs = needs(self.ask.function()).filter(|_| plain);
        let decoded = self.leaf.decode_samples(&self.context, chunk).await?;
        let of_copies = self.leaf.decode_windows(&self.context, chunk, needs.unwrap_or_default()).await?;
        let mut builder = WindowsBuilder::new(self.grid.len(), chunk.len());
        let (mut scratch, mut count) = (Merged::default(), 0);
        for series in chunk {
            self.leaf.with_samples(&decoded, *series, &mut scratch, |samples| {
                count += samples.timestamps.len() + samples.histograms.len();
                if !self.leaf.has_windows(*series) {
                    return self.push(*series, samples, &mut builder);
                }
                let found = self.leaf.windows(&of_copies, *series, samples, self.sample_width_ms);
                let gaps = self.leaf.gaps(&of_copies, *series, samples);
                count += found.len() + gaps.gaps.len();
                if found.is_empty() && !gaps.gaps.is_empty() {
                    return self.push_thinned(*series, samples, &gaps, &mut builder);
                }
                match needs.is_some() && samples.histograms.is_empty() {
                    true => self.push_windows(*series, &found, &mut builder),
                    false => self.push_edges(*series, &found, samples, &mut builder),
                }
            });
        }
        self.context.count_samples(count as u64);
        Ok(builder)
    }

    fn push_windows(&self, series: u32, found: &[Window], builder: &mut WindowsBuilder) {
        let (mut exact, mut largest) = (true, 0);
        let out = builder.start();
        let mut annotations = Annotations::default();
        match &*self.ask {
            Ask::Newest(select) | Ask::Times(select, _) => {
                let (is_time, steps) = (matches!(&*self.ask, Ask::Times(..)), windows(self.grid, select, select.lookback_ms));
                for (step, value) in out.iter_mut().enumerate() {
                    let t = steps.first_end.saturating_add(steps.step.saturating_mul(step as i64));
                    let answer = newest(found, t, select.lookback_ms);
                    exact &= answer.is_exact;
                    let of = |(value, at): (f64, i64)| if is_time { at as f64 / 1000.0 } else { value };
                    *value = answer.sample.map_or(STALE_NAN, of);
                }
            }
            Ask::Range(call, RangeInput::Select { select, range_ms, .. }, _) => {
                let (ranges, steps) = (Ranges::new(found), windows(self.grid, select, *range_ms));
                for (step, value) in out.iter_mut().enumerate() {
                    let end = steps.first_end.saturating_add(steps.step.saturating_mul(step as i64));
                    let (count, answer) = ranges.evaluate(call.function, end.saturating_sub(*range_ms), end);
                    largest = largest.max(count);
                    exact &= answer.is_none_or(|answer| answer.is_exact);
                    *value = answer.map_or(STALE_NAN, |answer| answer.value);
                }
                let any = out.iter().any(|value| !is_stale(*value));
                if any && matches!(call.function, Function::Rate | Function::Increase) {
                    let span = call.arg_spans.first().copied().unwrap_or(call.span);
                    reference::not_a_counter(self.leaf.labels(series), span, &self.context.options, &mut annotations);
                }
            }
            Ask::Range(..) => unreachable!("leaves are selectors"),
        }
        if !exact {
            self.context.note_inexact();
        }
        if out.iter().all(|value| is_stale(*value)) && largest == 0 {
            return builder.cancel();
        }
        let extras = self.context.attachments.attach_steps(StepExtras { annotations, ..StepExtras::default() });
        builder.end(series, largest, SampleCounts::each(found.len()), extras);
    }

    /// Native histograms, of which those that matter are there.
    fn push_thinned(&self, series: u32, samples: Samples<'_>, gaps: &Gaps, builder: &mut WindowsBuilder) {
        let (select, function) = (self.ask.select(), self.ask.function());
        let plain = select.extension == Extension::None && !self.context.options.use_start_timestamps;
        let width_ms = self.ask.range_ms().unwrap_or(select.lookback_ms);
        let steps = windows(self.grid, select, width_ms);
        let is_exact = |step: usize| {
            let end = steps.first_end.saturating_add(steps.step.saturating_mul(step as i64));
            is_exact_without(function, &gaps.gaps, end.saturating_sub(width_ms), end)
        };
        if !plain || gaps.is_cut || !(0..self.grid.len()).all(is_exact) {
            self.context.note_inexact();
        }
        self.by_reference(series, samples, &gaps.gaps, builder);
    }

    /// What windows do not answer is asked of the samples they still have.
    fn push_edges(&self, series: u32, found: &[Window], samples: Samples<'_>, builder: &mut WindowsBuilder) {
        if !found.is_empty() {
            self.context.note_inexact();
        }
        let (timestamps, values) = windowed::samples(found);
        self.push(series, Samples { timestamps: &timestamps, values: &values, start_timestamps: &[], ..samples }, builder);
    }
}
