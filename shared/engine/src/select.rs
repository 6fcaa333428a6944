//! Raw samples of a selector: what remote read and federation hand on, staleness markers included.

use model::{Limits, Matcher, Signal, TenantId, TimeRangeMs};
use plan::Series;

use crate::engine::within;
use crate::federation::TenantParts;
use crate::leaves::Leaves;
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
        let context = self.lookup_context(tenant, limits);
        let parts = self.parts(&context, Signal::Metrics, Some(range)).await?;
        let tenants = [TenantParts { context, parts }];
        let planner = self.planner(&tenants);
        let context = planner.context;
        let mut leaves = Leaves::new(planner, false);
        leaves.fetch((matchers.to_vec(), range)).await?;
        let items = leaves.inputs.into_fetched();
        let held: usize = items.iter().map(|series| series.timestamps.len() + series.histograms.len()).sum();
        if held > limits.query_samples_max {
            return Err(EngineError::Limit { what: "samples", value: held as u64, limit: limits.query_samples_max as u64 });
        }
        let warnings = context.annotations.texts();
        Ok(Lookup { items, truncated: false, warnings, stats: context.stats(StageTimes::default()) })
    }
}
