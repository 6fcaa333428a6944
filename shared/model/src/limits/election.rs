//! Whose samples are taken in where several replicas send the same (docs/0021). In brackets: Mimir's setting and default.

use std::time::Duration;

/// How one replica of a cluster is elected.
#[derive(Clone, Debug, PartialEq)]
pub struct ElectionLimits {
    /// Whether one is elected at all (`accept_ha_samples`, no).
    pub enabled: bool,
    /// Label that names what the replicas are replicas of; it is kept (`ha_cluster_label`, `cluster`).
    pub cluster_label: String,
    /// Label that tells them apart; it is not stored (`ha_replica_label`, `__replica__`).
    pub replica_label: String,
    /// Clusters of a tenant that were heard of lately, if there is a bound (`ha_max_clusters`, 100).
    pub clusters_max: Option<usize>,
    /// How old what a process knows of an election may be, and how often the elected one's record is written
    /// (`ha_tracker_update_timeout`, 15 s).
    pub update: Duration,
    /// How much earlier or later a process does so, that not all do it at once (`ha_tracker_update_timeout_jitter_max`, 5 s).
    pub update_jitter: Duration,
    /// Silence after which another replica is elected (`ha_tracker_failover_timeout`, 30 s).
    pub failover: Duration,
}

impl Default for ElectionLimits {
    fn default() -> ElectionLimits {
        ElectionLimits {
            enabled: false,
            cluster_label: "cluster".to_owned(),
            replica_label: "__replica__".to_owned(),
            clusters_max: Some(100),
            update: Duration::from_secs(15),
            update_jitter: Duration::from_secs(5),
            failover: Duration::from_secs(30),
        }
    }
}

impl ElectionLimits {
    /// Says what cannot be meant; the bound on the spans is Mimir's.
    ///
    /// # Errors
    /// Names what contradicts what.
    pub fn check(&self) -> Result<(), &'static str> {
        let rested = self.update.saturating_add(self.update_jitter).saturating_add(Duration::from_secs(1));
        match self {
            _ if self.cluster_label == self.replica_label => Err("ha_cluster_label and ha_replica_label are the same"),
            _ if self.cluster_label.is_empty() || self.replica_label.is_empty() => Err("a label has no name"),
            _ if self.update < self.update_jitter => Err("ha_tracker_update_timeout_jitter_max is longer than the timeout"),
            _ if self.failover < rested => {
                Err("ha_tracker_failover_timeout must be a second longer than ha_tracker_update_timeout and its jitter")
            }
            _ => Ok(()),
        }
    }

    /// Returns how far a replica may be ahead of what was stored of the elected one, in the time of samples: of a sender that lags
    /// further, too little would be there if it died. What a process knows may be as old as an update.
    pub fn lag_max(&self) -> Duration {
        self.failover.saturating_add(self.update)
    }
}
