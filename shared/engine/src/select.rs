//! Raw samples of a selector: what remote read and federation hand on, staleness markers included.

use std::sync::Arc;

use model::{Limits, Matcher, Signal, TenantId, TimeRangeMs};
use plan::{EvalOptions, Series};

use crate::batch::{label_set, samples_rows};
use crate::context::QueryContext;
use crate::engine::within;
use crate::exec::{collect, single};
use crate::planner::Planner;
use crate::{Engine, EngineError, Lookup, StageTimes};

impl Engine {
    /// Returns the samples inside `range` of the series that all matchers accept, ordered by labels; series without a sample
    /// there are left out.
    ///
    /// # Errors
    /// As [`Engine::query`]; `Limit` beyond `limits.query_samples_max` samples.
    pub async fn samples(
        &self,
        tenant: &TenantId,
        matchers: &[Matcher],
        range: TimeRangeMs,
        limits: &Limits,
    ) -> Result<Lookup<Series>, EngineError> {
        let attempts = async {
            match self.samples_once(tenant, matchers, range, limits).await {
                Err(error) if error.is_missing_object() => self.samples_once(tenant, matchers, range, limits).await,
                outcome => outcome,
            }
        };
        within(limits.query_timeout, attempts).await
    }

    async fn samples_once(
        &self,
        tenant: &TenantId,
        matchers: &[Matcher],
        range: TimeRangeMs,
        limits: &Limits,
    ) -> Result<Lookup<Series>, EngineError> {
        let (options, text) = (EvalOptions::default(), Arc::from(""));
        let context = QueryContext::new(tenant, &self.objects, limits, options, text, self.config.fetches_in_flight);
        let context = Arc::new(context);
        let parts = Arc::new(self.parts(&context, Signal::Metrics, Some(range)).await?);
        let partitions = self.config.partitions.max(1);
        let planner =
            Planner { context: &context, parts, metric_tails: &self.metric_tails, log_tails: &self.log_tails, partitions };
        let (plan, _) = planner.scan(matchers.to_vec(), range).await?;
        let batches = collect(&single(plan), context.task()?).await.map_err(|error| context.unboxed(error))?;
        let (mut items, mut held) = (Vec::new(), 0);
        for row in batches.iter().flat_map(samples_rows) {
            let extras = context.attachments.take_samples(row.extras);
            held += row.timestamps.len() + extras.histograms.len();
            if held > limits.query_samples_max {
                return Err(EngineError::Limit { what: "samples", value: held as u64, limit: limits.query_samples_max as u64 });
            }
            if !row.timestamps.is_empty() || !extras.histograms.is_empty() {
                items.push(Series {
                    labels: label_set(row.labels)?,
                    timestamps: row.timestamps.to_vec(),
                    values: row.values.to_vec(),
                    start_timestamps: extras.start_timestamps,
                    histograms: extras.histograms,
                });
            }
        }
        items.sort_by(|a, b| a.labels.cmp(&b.labels));
        let (warnings, _) = context.annotations.texts();
        Ok(Lookup { items, truncated: false, warnings, stats: context.stats(StageTimes::default()) })
    }
}
