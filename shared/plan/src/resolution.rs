//! Which copy of the data a selector reads: raw samples, or windows of 5m or 1h (reference/architecture §6.2, §6.3).
//!
//! Owns: the choice, a pure function of the function, range, step, offset, `@`, and what is live. Does not own: what is live
//! (`manifest`), what windows give ([`crate::functions::coarse`]).
//!
//! A coarse copy is read silently only where its windows never straddle the edge of a range: range, step and time are multiples of
//! the width. Of each day the coarsest such copy is read, else raw samples, so that resolutions meet at the seams of days and nowhere
//! inside a window. Where raw samples have expired the finest copy left stands in, and the answer says so if it is not exact.

use model::Resolution;

use crate::functions::coarse::needs;
use crate::logical::{EvalOptions, Extension, Function, Grid, Select};

/// What of one day is live.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Live {
    /// Raw samples.
    pub raw: bool,
    /// The copy of 5m.
    pub five_minutes: bool,
    /// The copy of 1h.
    pub one_hour: bool,
}

impl Live {
    fn has(self, resolution: Resolution) -> bool {
        match resolution {
            Resolution::Raw => self.raw,
            Resolution::FiveMinutes => self.five_minutes,
            Resolution::OneHour => self.one_hour,
        }
    }
}

/// Returns the coarsest resolution whose windows answer a function (`None`: the newest sample) like samples, as far as the plan tells.
pub fn coarsest(
    function: Option<Function>,
    select: &Select,
    range_ms: Option<i64>,
    grid: &Grid,
    options: &EvalOptions,
) -> Resolution {
    let plain = select.extension == Extension::None && !options.use_start_timestamps;
    // Coarse copies are of each replica for itself.
    let answers = needs(function).is_some() && plain && options.replica_labels.is_empty();
    let first = select.at.map_or(grid.start, |at| at.0).saturating_sub(select.offset_ms);
    let one_time = select.at.is_some() || grid.len() <= 1;
    let fits = |width_ms: i64| {
        let multiple = |ms: i64| ms.rem_euclid(width_ms) == 0;
        multiple(first) && (one_time || multiple(grid.step)) && range_ms.is_none_or(multiple)
    };
    let coarse = [Resolution::OneHour, Resolution::FiveMinutes].into_iter().filter(|_| answers);
    let mut fitting = coarse.filter(|of| *of <= options.resolution_max && of.width_ms().is_some_and(fits));
    fitting.next().unwrap_or(Resolution::Raw)
}

/// Returns the resolution that a query asks for. None where replicas are deduplicated: they are told apart in samples only.
pub fn wanted(options: &EvalOptions) -> Option<Resolution> {
    options.resolution.filter(|_| options.replica_labels.is_empty())
}

/// Chooses what to read of a day; `None` where nothing is live. `wanted` goes before everything, wherever it is live.
pub fn of_day(live: Live, coarsest: Resolution, wanted: Option<Resolution>) -> Option<Resolution> {
    let silently = Resolution::ALL.into_iter().rev().filter(|of| *of <= coarsest);
    // Nothing exact is left: the finest is the closest.
    let any = Resolution::ALL.into_iter();
    wanted.into_iter().chain(silently).chain(any).find(|of| live.has(*of))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logical::Span;
    use model::TimestampMs;
    use model::time::HOUR_MS;

    const MINUTE_MS: i64 = 60_000;

    fn chosen(function: Option<Function>, range_ms: Option<i64>, start: i64, step: i64, offset_ms: i64) -> &'static str {
        let (matchers, lookback_ms, extension, span) = (Vec::new(), 300_000, Extension::None, Span::default());
        let select = Select { matchers, offset_ms, at: None, lookback_ms, extension, span };
        let grid = Grid::range_ms(TimestampMs(start), TimestampMs(start + 10 * step), step);
        coarsest(function, &select, range_ms, &grid, &EvalOptions::default()).as_str()
    }

    /// The table of the reference: function, range, start, step, offset → resolution.
    #[test]
    fn aligned_queries_read_the_coarsest_copy() {
        use Function::*;
        let hour = Some(HOUR_MS);
        for (function, range_ms, start, step, offset_ms, expected) in [
            (Some(Rate), hour, 0, HOUR_MS, 0, "1h"),
            (Some(Rate), hour, 0, 30 * MINUTE_MS, 0, "5m"),
            (Some(Rate), hour, 0, MINUTE_MS, 0, "raw"),
            (Some(Rate), hour, 1, HOUR_MS, 0, "raw"),
            (Some(Rate), hour, 0, HOUR_MS, 10 * MINUTE_MS, "5m"),
            (Some(Rate), Some(5 * MINUTE_MS), 0, HOUR_MS, 0, "5m"),
            (Some(Rate), Some(MINUTE_MS), 0, HOUR_MS, 0, "raw"),
            (Some(MaxOverTime), hour, 5 * MINUTE_MS, 2 * HOUR_MS, 5 * MINUTE_MS, "1h"),
            (Some(QuantileOverTime), hour, 0, HOUR_MS, 0, "raw"),
            (Some(Deriv), hour, 0, HOUR_MS, 0, "raw"),
            (Some(Irate), hour, 0, HOUR_MS, 0, "raw"),
            (None, None, 0, HOUR_MS, 0, "1h"),
            (None, None, 0, 15 * MINUTE_MS, 0, "5m"),
            (None, None, 7, HOUR_MS, 0, "raw"),
            (Some(Timestamp), None, 0, 5 * MINUTE_MS, 0, "5m"),
        ] {
            let found = chosen(function, range_ms, start, step, offset_ms);
            assert_eq!(found, expected, "{function:?}[{range_ms:?}] from {start} by {step} offset {offset_ms}");
        }
    }

    #[test]
    fn a_fixed_time_needs_no_step_and_options_bound_the_choice() {
        let select = |at: Option<i64>, extension| Select {
            matchers: Vec::new(),
            offset_ms: 0,
            at: at.map(TimestampMs),
            lookback_ms: 0,
            extension,
            span: Span::default(),
        };
        let grid = Grid::range_ms(TimestampMs(1), TimestampMs(100), 7);
        let (function, range) = (Some(Function::Rate), Some(HOUR_MS));
        let of = |select: &Select, options: &EvalOptions| coarsest(function, select, range, &grid, options);
        let options = EvalOptions::default();
        assert_eq!(of(&select(Some(HOUR_MS), Extension::None), &options), Resolution::OneHour);
        assert_eq!(of(&select(None, Extension::None), &options), Resolution::Raw);
        assert_eq!(of(&select(Some(HOUR_MS), Extension::Anchored), &options), Resolution::Raw);
        for resolution_max in Resolution::ALL {
            let options = EvalOptions { resolution_max, ..EvalOptions::default() };
            assert_eq!(of(&select(Some(HOUR_MS), Extension::None), &options), resolution_max);
        }
        let options = EvalOptions { use_start_timestamps: true, ..EvalOptions::default() };
        assert_eq!(of(&select(Some(HOUR_MS), Extension::None), &options), Resolution::Raw);
        let resolution = Some(Resolution::OneHour);
        let options = EvalOptions { replica_labels: vec!["replica".to_owned()], resolution, ..EvalOptions::default() };
        assert_eq!(of(&select(Some(HOUR_MS), Extension::None), &options), Resolution::Raw);
        assert_eq!((wanted(&options), wanted(&EvalOptions { replica_labels: vec![], ..options })), (None, resolution));
    }

    #[test]
    fn days_fall_back_to_finer_copies_before_coarser_ones() {
        let live = |raw, five_minutes, one_hour| Live { raw, five_minutes, one_hour };
        use Resolution::{FiveMinutes, OneHour, Raw};
        for (live, coarsest, wanted, expected) in [
            (live(true, true, true), OneHour, None, Some(OneHour)),
            (live(true, true, false), OneHour, None, Some(FiveMinutes)),
            (live(true, true, true), FiveMinutes, None, Some(FiveMinutes)),
            (live(true, false, true), FiveMinutes, None, Some(Raw)),
            (live(true, true, true), Raw, None, Some(Raw)),
            (live(false, true, true), Raw, None, Some(FiveMinutes)),
            (live(false, false, true), FiveMinutes, None, Some(OneHour)),
            (live(true, true, true), Raw, Some(OneHour), Some(OneHour)),
            (live(true, true, false), Raw, Some(OneHour), Some(Raw)),
            (live(true, true, true), OneHour, Some(Raw), Some(Raw)),
            (live(false, false, false), OneHour, Some(Raw), None),
        ] {
            assert_eq!(of_day(live, coarsest, wanted), expected, "{live:?} {coarsest:?} {wanted:?}");
        }
    }
}
