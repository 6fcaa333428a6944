//! From a decoded batch to an acknowledged write: batch → segments → objects → commit.
//!
//! ```text
//!  batch ─ cut by event hour ─▶ drafts ─ segment::l0 ─▶ bytes ─▶ object (or inline) ─▶ manifest.commit ─▶ receipt
//! ```
//! Owns: the order of these steps (W1), the content-derived id that makes a retry harmless (W2), and when writes are put together
//! ([`WriteBuffer`]: [`Direct`], [`Group`], and [`Adaptive`] that chooses), and when writes are held back ([`backlog`]).
//! Does not own: protocols, validation, the segment format, the manifest's records.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod adaptive;
pub mod backlog;
mod batch;
mod cut;
mod direct;
pub mod error;
mod group;
pub mod limits;
pub mod rate;
mod receipt;
mod writer;

pub use adaptive::Adaptive;
pub use backlog::{Backlog, BacklogBounds, BacklogHints, HourBacklog};
pub use batch::Batch;
pub use cut::{cut, hours};
pub use direct::Direct;
pub use error::{Error, Result};
pub use group::{Group, GroupOptions};
pub use receipt::{Choice, Reason, Receipt, Strategy};
pub use writer::Writer;

use async_trait::async_trait;
use model::TenantId;

/// When a batch becomes durable, and together with which others. Every strategy acknowledges only after commit (W1).
#[async_trait]
pub trait WriteBuffer: Send + Sync + std::fmt::Debug {
    /// Makes a batch durable and visible.
    ///
    /// # Errors
    /// Of a kind that tells whether the same request may succeed later (W4). After an error the batch may be visible or not;
    /// a retry of the same request is harmless either way (W2).
    async fn append(&self, tenant: &TenantId, batch: Batch) -> Result<Receipt>;

    /// Writes out what is still held and refuses what comes later.
    async fn close(&self);
}
