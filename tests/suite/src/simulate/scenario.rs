//! What a seed makes of a run.

use super::mutation::Mutation;
use compactor::Policy;
use model::{Keep, Limits, Resolution, Retention, RetentionPolicy, TenantLimits};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::time::Duration;
use testkit::simulation::Chances;

/// The shape of one run.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// The seed.
    pub seed: u64,
    /// Tenants that write.
    pub tenants: u64,
    /// Clients that write at a time.
    pub clients: u64,
    /// Writes of each client and phase.
    pub writes: u64,
    /// Active phases; the minutes of rest after each.
    pub rests_min: Vec<u64>,
    /// How wrong a clock may be, ms, either way.
    pub skew_ms_max: u64,
    /// What goes wrong.
    pub chances: Chances,
    /// When segments are merged.
    pub policy: Policy,
    /// Days are kept so long after their end, ms.
    pub retention_ms: i64,
    /// Age from which unreferenced objects are taken for orphans, ms.
    pub orphan_age_ms: i64,
    /// One request in so many is one that was sent before.
    pub repeats_one_in: usize,
    /// Encoded bytes that go into the record itself.
    pub inline_bytes_max: usize,
    /// Whether an object is damaged.
    pub damages: bool,
    /// Whether rows are deleted by request.
    pub erases: bool,
    /// Whether weeks pass, so that hours are cleared and days packed while rows still come for them.
    pub is_long: bool,
    /// Whether metrics have coarse copies, so that some days' raw data goes before them.
    pub copies: bool,
    /// Whether replicas write, of which one is left where a day is closed.
    pub replicas: bool,
    /// Whether the end of the run waits until all garbage must be gone.
    pub is_thorough: bool,
    /// Milliseconds since the Unix epoch at which the run begins.
    pub start_ms: i64,
}

/// The worst wrong clock that the protocol's graces leave room for, ms.
pub const SKEW_MS_MAX: u64 = 120_000;

const STORMY: Chances =
    Chances { throttle: 200, vanish: 100, lose: 250, late: 100, double: 200, echo: 100, freeze: 60, crash: 120, slow: 200 };

impl Scenario {
    /// Draws the scenario of a seed.
    pub fn of(seed: u64) -> Scenario {
        let mut random = StdRng::seed_from_u64(seed ^ 0x5ce_4a11);
        let random = &mut random;
        let phases = random.random_range(1..=3);
        let rests = [2, 11, 34, 66, 66, 130, 25 * 60, 28 * 60];
        let days = pick(random, &[30, 30, 30, 1, 0]);
        let retention = Retention::raw_for(days);
        let policy = Policy {
            l0_files: random.random_range(2..=6),
            l1_files: random.random_range(2..=4),
            inputs_max: pick(random, &[4, 16, 1024]),
            output_bytes: pick(random, &[1, 2_000, 128 << 20]),
            roll_after: Duration::from_secs(3_600 * pick(random, &[26, 26, 3])),
            late_parts: random.random_range(1..=4),
            retention: RetentionPolicy { metrics: retention.clone(), logs: retention, ..RetentionPolicy::default() },
            ..Policy::default()
        };
        Scenario {
            seed,
            tenants: random.random_range(1..=3),
            clients: random.random_range(2..=4),
            writes: random.random_range(3..=9),
            rests_min: (0..phases).map(|_| pick(random, &rests)).collect(),
            skew_ms_max: pick(random, &[0, 5_000, SKEW_MS_MAX]),
            chances: Chances { slow: pick(random, &[200, 200, 2_000]), ..STORMY.scaled(pick(random, &[0, 30, 100, 100, 200])) },
            policy,
            retention_ms: i64::from(days) * 86_400_000,
            orphan_age_ms: pick(random, &[24, 24, 0]) * 3_600_000,
            repeats_one_in: 6,
            inline_bytes_max: pick(random, &[0, 0, 150, 300, 8 * 1024]),
            damages: random.random_range(0..6u32) == 0,
            erases: random.random_range(0..4u32) == 0,
            is_long: false,
            copies: false,
            replicas: false,
            is_thorough: random.random_range(0..32u32) == 0,
            start_ms: (20_778 * 24 + random.random_range(0..24)) * 3_600_000 + random.random_range(0..3_600_000),
        }
    }
}

impl Scenario {
    /// Returns the scenario with what a run of this kind needs: a mistake shows only where there is an occasion for it.
    pub fn adapted(mut self, mutation: Option<Mutation>) -> Scenario {
        /// One run in so many goes over weeks: it takes several times as long.
        const LONG_ONE_IN: u64 = 16;
        /// One run in so many has coarse copies.
        const COPIES_ONE_IN: u64 = 4;
        /// One run in so many has replicas, and one in so many has them beside copies.
        const REPLICAS_ONE_IN: u64 = 8;
        const REPLICAS_TOO_ONE_IN: u64 = 16;
        self.is_long = mutation.map_or(self.seed % LONG_ONE_IN == 1, Mutation::is_about_weeks);
        if self.is_long {
            self.rests_min = vec![30 * 60, 9 * 24 * 60, 26 * 60];
            self.retention_ms = 60 * 86_400_000;
            let retention = Retention::raw_for(60);
            self.policy.retention = RetentionPolicy { metrics: retention.clone(), logs: retention, ..RetentionPolicy::default() };
        }
        self.copies = mutation.map_or(self.seed % COPIES_ONE_IN == 2, Mutation::is_about_copies);
        if self.copies {
            self.keep_copies();
        }
        self.replicas = mutation.map_or(self.seed % REPLICAS_ONE_IN == 3 || self.seed % REPLICAS_TOO_ONE_IN == 6, |mutation| {
            mutation.is_about_replicas()
        });
        if self.replicas {
            self.merge_replicas();
        }
        if mutation.is_some_and(Mutation::is_about_repeats) {
            self.repeat();
        }
        if let Some(mutation) = mutation {
            self.erases = mutation.is_about_deletions();
            self.damages = false;
        }
        self
    }

    /// Little data merges, and a third of all requests comes again: some when their ids are forgotten, 40 minutes after a merge, and
    /// their objects are about to be deleted, an hour after it, because the second phase begins half an hour after the first.
    fn repeat(&mut self) {
        (self.tenants, self.clients, self.writes, self.repeats_one_in) = (1, 8, 9, 3);
        (self.policy.l0_files, self.inline_bytes_max) = (4, 0);
        self.rests_min = vec![34, 2];
    }

    /// Raw data of a day or two, copies of some more, and rests long enough for days to roll, be copied and go; one run in four goes over
    /// weeks, so that days with copies are packed into their month.
    fn keep_copies(&mut self) {
        let mut random = StdRng::seed_from_u64(self.seed ^ 0x00c0_91e5);
        let random = &mut random;
        let weeks = random.random_range(0..4u32) == 0;
        let (raw, five_minutes, one_hour) = if weeks { (7, 30, 180) } else { pick(random, &[(1, 2, 3), (1, 3, 9), (2, 3, 12)]) };
        self.rests_min = match weeks {
            true => vec![30 * 60, 9 * 24 * 60, 26 * 60],
            false => vec![pick(random, &[130, 28 * 60]), 50 * 60, pick(random, &[66, 27 * 60])],
        };
        let days = |days: u32| Keep::For(Duration::from_secs(u64::from(days) * 86_400));
        let coarse = [(Resolution::FiveMinutes, days(five_minutes)), (Resolution::OneHour, days(one_hour))];
        let metrics = Retention { raw: days(raw), coarse: coarse.into() };
        self.policy.retention = RetentionPolicy { metrics, logs: Retention::raw_for(raw), ..RetentionPolicy::default() };
        self.retention_ms = i64::from(raw) * 86_400_000;
        // A run of this kind does more than others: it is kept short.
        (self.tenants, self.writes) = (1, self.writes.min(6));
        self.erases = random.random_range(0..3u32) == 0;
        self.is_thorough = random.random_range(0..8u32) == 0;
    }

    /// Replicas are merged some hours after their day's end, and rests are long enough for that; what comes later makes the day be decided again.
    /// Where there are copies, their retention decides: raw data may go before its day is closed.
    fn merge_replicas(&mut self) {
        let mut random = StdRng::seed_from_u64(self.seed ^ 0x4e91_1ca5);
        let random = &mut random;
        let after = Duration::from_secs(3_600 * pick(random, &[2, 6, 26]));
        self.policy.limits = TenantLimits::from(Limits { replicas_merged_after: Some(after), ..Limits::default() });
        // A day is written in one pass over its slots or in some.
        self.policy.input_bytes_max = pick(random, &[20_000, 256 << 20, 256 << 20]);
        if !self.copies {
            self.rests_min = vec![pick(random, &[130, 28 * 60]), 50 * 60, pick(random, &[66, 27 * 60])];
            self.retention_ms = 30 * 86_400_000;
            let retention = Retention::raw_for(30);
            self.policy.retention = RetentionPolicy { metrics: retention.clone(), logs: retention, ..RetentionPolicy::default() };
            self.erases = random.random_range(0..3u32) == 0;
            self.is_thorough = random.random_range(0..8u32) == 0;
        }
        (self.tenants, self.writes) = (1, self.writes.min(6));
    }

    /// How long after its end a day is left with one replica's samples, ms; `None`: never.
    pub fn merged_after_ms(&self) -> Option<i64> {
        let after = self.policy.limits.default_limits().replicas_merged_after?;
        i64::try_from(after.as_millis()).ok()
    }

    /// How late rows come at most, ms: into days long packed where there are any.
    pub fn late_ms_max(&self) -> i64 {
        if self.is_long { 11 * 86_400_000 } else { 30 * 3_600_000 }
    }
}

/// Picks one of several.
pub fn pick<T: Copy>(random: &mut StdRng, of: &[T]) -> T {
    of[random.random_range(0..of.len())]
}
